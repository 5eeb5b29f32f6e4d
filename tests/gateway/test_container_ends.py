"""What the container runs, without one: a TorchServe that dies ends it, so that whoever runs it starts another."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from tests.asgi_servers import Crowd
from tests.gateway.served_nginx import SECRET
from tests.open_inference_calls import instances
from tests.ports import free_ports

PATIENCE_SECONDS = 120


pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(shutil.which("nginx", path="/usr/sbin:/usr/bin") is None, reason="needs Debian's nginx-light"),
]


@contextmanager
def container(store: Path, log: Path, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """What the container runs, once it is ready; killed at the end."""
    given = {"POINTREND_STORE": str(store), "PORT": str(free_ports(1)[0])} | variables
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway"], env={**os.environ, **given}, stdout=output, stderr=output
        )
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while "pointrend: Ready after" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_killed_torchserve_ends_the_container_with_one_sentence(store: Path, tmp_path: Path) -> None:
    log = tmp_path / "out"
    with container(store, log, POINTREND_ROLE="all", POINTREND_GRPC_PORT="0") as running:
        children = psutil.Process(running.pid).children(recursive=True)
        next(child for child in children if child.name() == "java").kill()
        assert running.wait(PATIENCE_SECONDS) == 1
    last = log.read_text().splitlines()[-1]
    assert last == (
        "pointrend: TorchServe was ended by SIGKILL (9), often the system's out-of-memory killer; what it wrote is in "
        "the output above."
    )
    assert [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE] == []


def test_without_torchserve_the_secret_opens_the_api_and_sigterm_lets_requests_finish(
    store: Path, tmp_path: Path, photo: bytes
) -> None:
    (port, grpc_port), log = free_ports(2), tmp_path / "out"
    variables = {"POINTREND_ROLE": "server", "POINTREND_BACKEND": "asgi", "POINTREND_TOKEN": SECRET, "PORT": str(port)}
    variables["POINTREND_GRPC_PORT"] = str(grpc_port)
    with container(store, log, **variables) as running:
        url = f"http://127.0.0.1:{port}/predictions/pointrend"
        answer = httpx.post(url, content=photo)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_token")
        bearer = {"Authorization": f"Bearer {SECRET}"}
        assert httpx.post(url, content=photo, headers=bearer, timeout=60).status_code == 200
        assert httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=60).status_code == 204
        assert instances(f"127.0.0.1:{grpc_port}", SECRET, photo)
        children = psutil.Process(running.pid).children(recursive=True)
        assert not [child for child in children if child.name() == "java"]
        worker = next(child for child in children if "gateway.workers.worker" in child.cmdline())
        worker.suspend()
        crowd = Crowd(url, photo, 3, bearer)
        server = next(child for child in children if "--models" in child.cmdline())
        inner = server.cmdline()[server.cmdline().index("--port") + 1]
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (
            httpx.get(f"http://127.0.0.1:{inner}/models/pointrend", headers={"Host": "localhost"}).json()[0][
                "jobQueueStatus"
            ]["pendingRequests"]
            < 2
        ):
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        running.send_signal(signal.SIGTERM)
        worker.resume()
        assert crowd.join() == [(200, None)] * 3
        assert running.wait(PATIENCE_SECONDS) == 0, log.read_text()
    assert log.read_text().splitlines()[-1] == "pointrend: Stopped."
    assert [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE] == []
