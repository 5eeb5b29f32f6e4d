"""``pointrend up`` as a person runs it: a process, Ctrl-C, and nothing left behind."""

import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest
import requests
from PIL import Image

from pointrend.client import Client
from pointrend.system import kept_logs
from tests.launched import launched
from tests.ports import free_ports, free_server_port, is_free

pytestmark = pytest.mark.server

COMMAND = [str(Path(sys.executable).with_name("pointrend")), "up"]


def ready(log, server_port, page_port):
    """The command once it is ready, see :func:`launched.launched`."""
    return launched([*COMMAND, "--server-port", str(server_port), "--port", str(page_port)], log)


def test_up_serves_and_ctrl_c_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_of-the-one-who-started-it")
    server_port, (page_port,) = free_server_port(), free_ports(1)
    log = tmp_path / "out"
    with ready(log, server_port, page_port) as process:
        photo = Image.new("RGB", (64, 48))
        assert Client(f"http://127.0.0.1:{server_port}").segment(photo).width == 64
        assert requests.get(f"http://127.0.0.1:{page_port}", timeout=10).ok
        models = f"http://127.0.0.1:{server_port}/models"
        assert requests.get(models, timeout=10).json()["models"][0]["modelName"] == "pointrend"
        for header, status in (({"Host": "evil.example"}, 421), ({"Origin": "http://evil.example"}, 403)):
            assert requests.get(models, headers=header, timeout=10).status_code == status
        (socket_path,) = re.findall(r"unix:(\S+management\.sock)", log.read_text())
        with httpx.Client(transport=httpx.HTTPTransport(uds=socket_path)) as management:
            assert management.get("http://localhost/models").is_success
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) >= 4  # Java, a worker, the gateway, the page
        assert [child.name() for child in children if "HF_TOKEN" in child.environ()] == []
        assert "HF_TOKEN" in psutil.Process(process.pid).environ()

        process.send_signal(signal.SIGINT)

        assert process.wait(60) == 0, log.read_text()
    assert log.read_text().rstrip().endswith("Stopped.")
    assert [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE] == []
    assert is_free(server_port)
    assert is_free(page_port)


def test_a_gateway_and_a_page_that_were_killed_are_restarted(tmp_path):
    """TorchServe too: tests/gradio_app/test_page_restart_browser.py."""
    server_port, (page_port,) = free_server_port(), free_ports(1)
    log = tmp_path / "out"
    with ready(log, server_port, page_port) as process:
        for victim, name in (("gateway.app", "The gateway"), ("gradio_app", "The page")):
            children = psutil.Process(process.pid).children(recursive=True)
            next(child for child in children if any(victim in part for part in child.cmdline()[:3])).kill()
            deadline = time.monotonic() + 120
            while f"{name} is ready again" not in log.read_text():
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
            assert Client(f"http://127.0.0.1:{server_port}").describe()["name"] == "pointrend-demo"
            assert requests.get(f"http://127.0.0.1:{page_port}", timeout=10).ok
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0, log.read_text()
    lines = log.read_text().split("Ctrl-C stops it.\n")[1].splitlines()
    assert len(lines) == 7  # it died, is restarted, is ready again, twice; and "Stopped."
    for name, line in (("The gateway", lines[0]), ("The page", lines[3])):
        assert f"{name} was ended by SIGKILL (9), often the system's out-of-memory killer; its log is" in line
        (kept,) = [path for path in kept_logs.folder().iterdir() if str(path) in line]
        assert kept.is_file()


def test_a_port_in_use_is_said_clearly():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        result = subprocess.run(
            [*COMMAND, "--server-port", str(free_server_port()), "--port", str(port)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert result.returncode == 1
    assert f"Port {port}, wanted for the page, cannot be used" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_unknown_model_is_said_clearly():
    ports = ["--server-port", str(free_server_port()), "--port", str(free_ports(1)[0])]
    command = [*COMMAND, *ports, "--model", "no-such-model"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 1
    assert "no-such-model" in result.stderr
    assert "Traceback" not in result.stderr
