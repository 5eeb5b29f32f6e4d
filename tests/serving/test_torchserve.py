import json
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from benchmarks.watch import committed_heap_mib
from gateway.__main__ import JAVA_OPTIONS
from pointrend.client import Client
from pointrend.serving import torchserve
from pointrend.serving.archive import build
from pointrend.serving.server_config import PACKAGED, ServerConfig
from pointrend.serving.torchserve import Ports, TorchServe
from pointrend.system.http_probe import ask
from pointrend.weights.folder import ModelFolder
from tests.ports import free_ports


def test_the_other_ports_follow_the_server_port():
    assert Ports.beside(8080, 7860) == Ports()
    assert Ports.beside(9080, 7000) == Ports(9080, 9081, 9082, 8070, 8071, 7000)


def test_the_settings_for_a_start_by_hand_are_those_of_the_package():
    top = Path(__file__).parents[2] / "config.properties"
    assert top.is_symlink()
    assert top.resolve() == PACKAGED.resolve()
    assert not PACKAGED.is_symlink()  # a wheel and an archive hold a file


def test_the_container_takes_the_options_of_java_and_adds_its_log():
    assert JAVA_OPTIONS.startswith(ServerConfig.read().java_options + " -Dlog4j.configurationFile=file:///")


@pytest.mark.server
def test_java_gives_memory_back(served):
    """The runtime knows every option: one that it does not know would be ignored without a word."""
    java = psutil.Process(served.pid)
    jcmd = Path(java.exe()).with_name("jcmd")
    flags = subprocess.run([jcmd, str(java.pid), "VM.flags", "-all"], capture_output=True, text=True, check=True).stdout
    known = {match[1]: match[2] for match in re.finditer(r"(\w+) += (\S+)", flags)}
    wanted = {"UseG1GC": "true", "G1PeriodicGCInterval": "15000", "TrimNativeHeapInterval": "15000"}
    wanted |= {"MinHeapFreeRatio": "10", "MaxHeapFreeRatio": "30", "ExitOnOutOfMemoryError": "true"}
    assert {name: known[name] for name in wanted} == wanted


@pytest.mark.server
@pytest.mark.slow
def test_a_crowd_leaves_no_large_heap_behind(served):
    """Twelve callers with 20 MB each; the heap shrinks by itself, however long that takes here."""
    java = psutil.Process(served.pid)
    url, body = f"{served.url}/predictions/pointrend", bytes(20_000_000)
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: httpx.post(url, content=body, timeout=300).status_code, range(36)))
    assert set(answers) <= {415, 503}
    deadline = time.monotonic() + 300
    while (heap := committed_heap_mib(java.pid)) is None or heap > 256:
        assert time.monotonic() < deadline
        time.sleep(1)


@pytest.mark.server
def test_the_engine_that_a_start_names_comes_before_the_archives(tmp_path, monkeypatch):
    monkeypatch.setenv("POINTREND_ENGINE", "detectron2")  # of the one who starts it, and no business of the worker's
    build(ModelFolder.open("demo"), tmp_path)
    with TorchServe(tmp_path, Ports(*free_ports(6)), engine="bf16") as server:
        server.wait_ready()
        assert Client(server.url).describe()["engine"] == "bf16"
    with TorchServe(tmp_path, Ports(*free_ports(6))) as server:
        server.wait_ready()
        assert Client(server.url).describe()["engine"] == "eager"


@pytest.mark.server
def test_a_java_that_hangs_is_told_from_one_that_works(tmp_path):
    build(ModelFolder.open("demo"), tmp_path)
    with TorchServe(tmp_path, Ports(*free_ports(6)), private=True) as server:
        server.wait_ready()
        speaks, has_workers = server.probes
        assert speaks.ask()
        assert has_workers.ask()
        described = json.loads(ask(server.management_url, "/models/pointrend", seconds=30).body)
        assert (described[0]["minWorkers"], described[0]["workers"][0]["status"]) == (1, "READY")
        assert not torchserve._lacks_worker(json.dumps(described).encode())
        java = psutil.Process(server.pid)
        java.suspend()
        try:
            assert not speaks.ask()
            assert has_workers.ask()  # not known, and so no reason for anything
        finally:
            java.resume()
        assert speaks.ask()


@pytest.mark.parametrize(
    ("described", "lacks"),
    [
        ('[{"minWorkers": 1, "workers": [{"status": "UNLOADING"}]}]', True),
        ('[{"minWorkers": 1, "workers": []}]', True),
        ('[{"minWorkers": 2, "workers": [{"status": "UNLOADING"}, {"status": "READY"}]}]', False),
        ('[{"minWorkers": 0, "workers": []}]', False),  # somebody wants it so
        ("[]", False),
        ("{}", False),
        ("<html>", False),
        ('[{"workers": null}]', False),
    ],
)
def test_a_model_lacks_workers_where_it_shall_have_some_and_none_is_ready(described, lacks):
    assert torchserve._lacks_worker(described.encode()) == lacks
