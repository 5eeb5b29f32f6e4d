"""Both servers with the demo model: what a caller sees is the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pointrend.serving.asgi import AsgiServer, ModelFiles
from pointrend.serving.torchserve import TorchServe
from pointrend.weights.folder import ModelFolder
from tests.ports import free_ports


@pytest.fixture(scope="session")
def asgi_served() -> Iterator[AsgiServer]:
    """The server without TorchServe."""
    files = {"pointrend": ModelFiles(ModelFolder.open("demo").path)}
    with AsgiServer(files, free_ports(1)[0]) as server:
        server.wait_ready()
        yield server


@pytest.fixture(scope="session", params=["torchserve", "asgi"])
def either(request: pytest.FixtureRequest) -> TorchServe | AsgiServer:
    """One after the other."""
    server: TorchServe | AsgiServer = request.getfixturevalue(
        "served" if request.param == "torchserve" else "asgi_served"
    )
    return server
