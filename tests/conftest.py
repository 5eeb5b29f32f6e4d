"""One real TorchServe with the demo model for all tests that need a server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from handler.archive import build
from pointrend.processes import free_ports
from pointrend.torchserve import Ports, TorchServe
from pointrend.weights.folder import ModelFolder


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TorchServe]:
    """A TorchServe that has answered a prediction; stopped at the end with everything that it started."""
    archive = build(ModelFolder.open("demo").path, tmp_path_factory.mktemp("store"))
    with TorchServe(archive.parent, Ports(*free_ports(6))) as server:
        server.wait_ready()
        yield server
