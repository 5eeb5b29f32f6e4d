"""What the container runs, without one: a TorchServe that dies ends it, so that whoever runs it starts another."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.ports import free_ports

PATIENCE_SECONDS = 120


@pytest.mark.server
@pytest.mark.skipif(shutil.which("nginx", path="/usr/sbin:/usr/bin") is None, reason="needs Debian's nginx-light")
def test_a_killed_torchserve_ends_the_container_with_one_sentence(store: Path, tmp_path: Path) -> None:
    port = free_ports(1)[0]
    variables = {"POINTREND_ROLE": "all", "POINTREND_STORE": str(store), "PORT": str(port), "POINTREND_GRPC_PORT": "0"}
    log = tmp_path / "out"
    with log.open("wb") as output:
        container = subprocess.Popen(
            [sys.executable, "-m", "gateway"], env={**os.environ, **variables}, stdout=output, stderr=output
        )
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while "pointrend: Ready after" not in log.read_text():
            assert container.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        children = psutil.Process(container.pid).children(recursive=True)
        next(child for child in children if child.name() == "java").kill()
        assert container.wait(PATIENCE_SECONDS) == 1
    finally:
        container.kill()
        container.wait()
    last = log.read_text().splitlines()[-1]
    assert last == (
        "pointrend: TorchServe was ended by SIGKILL (9), often the system's out-of-memory killer; what it wrote is in "
        "the output above."
    )
    assert [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE] == []
