"""How many workers a server starts, and that they share its load and its limits."""

from __future__ import annotations

import io
import re
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path

import httpx
import pytest
from PIL import Image
from typer.testing import CliRunner

from gateway.limits import ServerLimits
from pointrend.cli.main import app
from pointrend.errors import ConfigError
from pointrend.serving.archive import build
from pointrend.serving.server_config import PACKAGED, ServerConfig
from pointrend.serving.torchserve import Ports, TorchServe
from pointrend.serving.workers import GIB, SINGLE, Workers, choose
from pointrend.system import properties
from pointrend.weights.folder import ModelFolder
from tests.ports import free_ports
from tests.workers import weights_of, workers_of

PLENTY = 512 * GIB


@pytest.mark.parametrize(
    ("cores", "workers"),
    [
        (1, Workers(1, 1)),
        (2, Workers(1, 2)),
        (4, Workers(1, 4)),
        (7, Workers(1, 7)),
        (8, Workers(2, 4)),
        (16, Workers(4, 4)),
        (64, Workers(16, 4)),
    ],
)
def test_workers_follow_the_cores(cores: int, workers: Workers) -> None:
    assert choose(cores=cores, memory=PLENTY) == workers


def test_memory_limits_the_workers_and_leaves_them_the_cores() -> None:
    assert choose(cores=64, memory=16 * GIB) == Workers(7, 9)
    assert choose(cores=64, memory=16 * GIB, models=2) == Workers(3, 21)
    assert choose(cores=64, memory=GIB // 2) == Workers(1, 64)


def test_what_somebody_wants_is_taken_as_far_as_it_fits() -> None:
    assert choose(2, cores=2, memory=2 * GIB) == Workers(2, 1)
    assert choose(3, cores=8, memory=PLENTY) == Workers(3, 2)
    assert choose(1, cores=2, memory=GIB // 2) == Workers(1, 2)


@pytest.mark.parametrize(
    ("wanted", "cores", "memory", "models", "message"),
    [
        (0, 4, PLENTY, 1, r"workers is 0; it may be 1 to 4 here\. A model needs a worker\. Leave it out"),
        (-1, 1, PLENTY, 1, r"workers is -1; it may be 1 here"),
        (5, 4, PLENTY, 1, r"workers is 5; it may be 1 to 4 here\. There are 4 cores, and each worker needs one"),
        (2, 1, PLENTY, 1, r"There is 1 core, and"),
        (8, 8, 4 * GIB, 1, r"it may be 1 to 6 here\. There are 4\.0 GiB of memory; each worker needs 0\.5 GiB beside"),
        (4, 8, 4 * GIB, 2, r"it may be 1 to 3 here\. .* each worker of each of the 2 models needs"),
    ],
)
def test_too_many_are_refused(wanted: int, cores: int, memory: int, models: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        choose(wanted, cores=cores, memory=memory, models=models)


@pytest.mark.parametrize("wanted", ["0", "-1", "10000"])
def test_the_command_line_refuses_them_before_anything_is_started(wanted: str) -> None:
    result = CliRunner().invoke(app, ["up", "--workers", wanted])
    assert result.exit_code == 1
    assert isinstance(result.exception, ConfigError)
    assert f"workers is {wanted}; it may be 1" in str(result.exception)


def test_the_packaged_settings_are_those_of_one_worker() -> None:
    assert properties.parse(PACKAGED.read_text())["job_queue_size"] == str(SINGLE.waiting)
    assert f"-Xmx{SINGLE.heap_mib // 1024}g " in ServerConfig.read().java_options
    assert SINGLE.waiting * ServerConfig.read().max_request_bytes < 0.6 * SINGLE.heap_mib * 2**20
    assert ServerLimits.read() == ServerLimits.read(SINGLE)


@pytest.mark.server
def test_two_workers_share_the_queue_and_one_that_is_killed_loses_its_own_request_only(tmp_path: Path) -> None:
    build(ModelFolder.open("demo"), tmp_path)
    workers = Workers(2, 1)
    file = io.BytesIO()
    Image.new("RGB", (64, 48)).save(file, "JPEG")
    with TorchServe(tmp_path, Ports(*free_ports(6)), workers=workers) as server, ThreadPoolExecutor(64) as pool:
        server.wait_ready()
        server.wait_until(lambda: server.workers_ready() == 2, 60)
        processes = workers_of(server)
        assert [each.environ()["POINTREND_THREADS"] for each in processes] == ["1", "1"]
        assert len({weights_of(each) for each in processes}) == 1  # the same file for both
        config = server.config.read_text()
        assert "job_queue_size=28\n" in config
        assert re.search(r"vmargs=-Xmx1g .* -Xmx1536m\n", config)

        for each in processes:
            each.suspend()
        url = f"{server.url}/predictions/pointrend"
        limit = ServerLimits.read(workers).requests
        asked = {pool.submit(httpx.post, url, content=file.getvalue(), timeout=120) for _ in range(limit + 1)}
        refused, _ = wait(asked, timeout=60, return_when=FIRST_COMPLETED)
        assert [each.result().status_code for each in refused] == [503]
        processes[0].kill()
        processes[1].resume()
        statuses = Counter(each.result().status_code for each in asked)
        assert (statuses[200], statuses[503], statuses[500] + statuses[507]) == (limit - 1, 1, 1)

        server.wait_until(lambda: server.workers_ready() == 2, 60)
        assert processes[1] in workers_of(server)
