"""The whole stack as users start it, for benchmarks that ask it from outside and watch its processes.

With nginx installed that is ``python -m gateway``, what the container runs; without it, TorchServe alone, and
:attr:`Stack.through` says so. Everything that the stack writes lies below :attr:`Stack.folder`.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from pointrend.serving.archive import build
from pointrend.serving.torchserve import Ports, TorchServe
from pointrend.system.processes import free_ports
from pointrend.system.service import Service
from pointrend.weights.folder import ModelFolder

START_SECONDS = 300.0
WHOLE, ALONE = "nginx, the gateway and TorchServe", "TorchServe alone (nginx is not installed)"
_PROGRAMS = "/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin"


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack that has answered.

    Attributes:
        url: where predictions are asked for.
        headers: what every request carries.
        through: :data:`WHOLE` or :data:`ALONE`.
        pid: the process from which all others descend.
        folder: where all of them keep their temporary files.
    """

    url: str
    headers: dict[str, str]
    through: str
    pid: int
    folder: Path

    @property
    def is_whole(self) -> bool:
        """Whether refusals are the documented ones: TorchServe alone says 503 in its own words."""
        return self.through == WHOLE

    def caller(self, number: int) -> dict[str, str]:
        """Headers of one of many callers, each with an address of its own."""
        return self.headers | {"X-Forwarded-For": f"10.0.{number // 250}.{number % 250 + 1}"}


@contextmanager
def stack(model: str = "demo", engine: str = "auto") -> Iterator[Stack]:
    """Start a stack, and stop it at the end.

    Args:
        model: a model's name or folder.
        engine: what computes its network, one of :data:`pointrend.engines.NAMES` or ``auto``.

    Raises:
        LaunchError: it ended, or did not answer in time.
    """
    # As Ctrl-C does, so that nothing is left running.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="pointrend-stack-") as place:
        store, folder = Path(place) / "store", Path(place) / "temporary"
        folder.mkdir()
        build(ModelFolder.open(model), store, engine=engine)
        if shutil.which("nginx", path=_PROGRAMS) is None:
            with TorchServe(store, Ports(*free_ports(6))) as server:
                server.wait_ready()
                yield Stack(server.url, {}, ALONE, server.pid, server.folder)
            return
        port, grpc_port = free_ports(2)
        token = secrets.token_hex(16)
        variables = {
            "POINTREND_ROLE": "server",
            "POINTREND_HOST": "127.0.0.1",
            "PORT": str(port),
            "POINTREND_GRPC_PORT": str(grpc_port),
            "POINTREND_TOKEN": token,
            "POINTREND_STORE": str(store),
            # Callers are told apart by X-Forwarded-For, as behind a platform's load balancer.
            "POINTREND_TRUSTED_PROXIES": "127.0.0.0/8",
            "TMPDIR": str(folder),
        }
        working = Path(place) / "working"
        working.mkdir()
        url, headers = f"http://127.0.0.1:{port}", {"Authorization": f"Bearer {token}"}
        with Service("The stack", [sys.executable, "-m", "gateway"], working, os.environ | variables) as service:
            service.wait_until(lambda: _is_ready(url), START_SECONDS)
            yield Stack(url, headers, WHOLE, service.pid, folder)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=20, trust_env=False).status_code == 204
    except httpx.TransportError:
        return False
