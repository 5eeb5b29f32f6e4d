"""A full disk: predictions go on in memory, health says what is wrong, and nothing has to be started again."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gateway.readiness import KEPT_SECONDS, check_disk
from pointrend.errors import ServerError
from pointrend.serving.gateway_process import Gateway
from pointrend.serving.torchserve import Ports, TorchServe
from tests.ports import free_ports

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")


@pytest.fixture
def disk() -> Iterator[Path]:
    """A disk of 96 MiB, which everything temporary lies on."""
    folder = Path(tempfile.mkdtemp(prefix="disk-", dir="/tmp"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", folder], check=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(folder))
        patch.setenv("TMPDIR", str(folder))
        yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)
    folder.rmdir()


def fill(disk: Path) -> Path:
    """Take all the room there is."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return ballast


def test_a_full_disk_is_told_by_trying(disk: Path) -> None:
    check_disk([disk])
    ballast = fill(disk)
    with pytest.raises(ServerError, match=f"disk is full: {disk} has no room") as raised:
        check_disk([disk])
    assert (raised.value.status, raised.value.code, raised.value.field) == (503, "disk_full", "disk")
    ballast.unlink()
    check_disk([disk])


@pytest.mark.server
def test_a_server_on_a_disk_that_fills_up(disk: Path, store: Path, photo: bytes) -> None:
    with TorchServe(store, Ports(*free_ports(6)), private=True) as server, Gateway(server, free_ports(1)[0]) as gateway:
        gateway.wait_ready()
        server.wait_ready()
        url = f"{gateway.url}/predictions/pointrend"
        assert httpx.get(f"{gateway.url}/readyz", timeout=60).status_code == 204

        ballast = fill(disk)
        time.sleep(KEPT_SECONDS)
        answer = httpx.get(f"{gateway.url}/readyz", timeout=60)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "disk_full")
        assert answer.headers["retry-after"]
        assert httpx.get(f"{gateway.url}/healthz").status_code == 204
        assert httpx.post(url, content=photo, timeout=60).status_code == 200
        assert httpx.post(url, files={"image": photo}, timeout=60).status_code == 200
        large = httpx.post(url, files={"image": bytes(15 * 2**20)}, timeout=60)  # netty would lay it down on the disk
        assert large.json()["error"]["code"] in ("unsupported_image", "disk_full")

        ballast.unlink()
        time.sleep(KEPT_SECONDS)
        assert httpx.post(url, files={"image": photo}, timeout=60).status_code == 200
        assert httpx.get(f"{gateway.url}/readyz", timeout=60).status_code == 204
