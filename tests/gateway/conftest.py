"""What the tests of the gateway and of nginx share: a fast model, TorchServe, the gateway before it, nginx."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from gateway.config import ContainerConfig
from gateway.limits import ServerLimits
from gateway.nginx import Nginx, Upstreams
from pointrend.serving.archive import build
from pointrend.serving.gateway_process import Gateway
from pointrend.serving.torchserve import Ports, TorchServe
from pointrend.weights.folder import ModelFolder
from tests.gateway.served_nginx import SECRET, MakeNginx
from tests.ports import free_ports

TRITON = "tritonclient[http,grpc]==2.73.0"


@pytest.fixture(scope="session")
def photo() -> bytes:
    return (Path(__file__).parents[1] / "demo" / "chelsea.png").read_bytes()


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model on small inputs: what it finds matters to no test here, and it answers many requests."""
    folder = tmp_path_factory.mktemp("model") / "small"
    shutil.copytree(ModelFolder.open("demo").path, folder)
    config = folder / "config.yaml"
    config.write_text(re.sub(r"(M(?:IN|AX)_SIZE_TEST): \d+", r"\1: 96", config.read_text()))
    return build(ModelFolder.open(folder), tmp_path_factory.mktemp("store")).parent


@pytest.fixture(scope="session")
def private_server(store: Path) -> Iterator[TorchServe]:
    """A TorchServe on sockets."""
    with TorchServe(store, Ports(*free_ports(6)), private=True) as server:
        server.wait_ready()
        yield server


@pytest.fixture(scope="session")
def gateway(private_server: TorchServe) -> Iterator[Gateway]:
    """The gateway before it, as ``pointrend up`` starts it."""
    with Gateway(private_server, free_ports(1)[0]) as started:
        started.wait_ready()
        yield started


@pytest.fixture(scope="module")
def make_nginx() -> Iterator[MakeNginx]:
    """Starts nginx before any upstreams; all are stopped at the end of the module."""
    with ExitStack() as stack:

        def make(upstreams: Upstreams, **variables: str) -> Nginx:
            port, rpc = free_ports(2)
            given = {
                "POINTREND_ROLE": "server",
                "PORT": str(port),
                "POINTREND_GRPC_PORT": str(rpc),
                "POINTREND_TOKEN": SECRET,
                "POINTREND_DRAIN_SECONDS": "20",
                "POINTREND_RATE": "1000",
            }
            config = ContainerConfig.read(given | variables)
            nginx = stack.enter_context(Nginx(config, upstreams, ServerLimits.read()))
            nginx.wait_ready()
            return nginx

        yield make


@pytest.fixture(scope="session")
def triton_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Triton's client in a folder of its own, with the older protobuf that it needs."""
    folder = tmp_path_factory.mktemp("triton")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), TRITON]
    subprocess.run(command, check=True, timeout=300)
    return folder
