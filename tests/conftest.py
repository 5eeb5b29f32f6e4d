"""What all tests share: the process's threads, and one real TorchServe with the demo model."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from handler.archive import build
from pointrend.processes import free_ports
from pointrend.torchserve import Ports, TorchServe
from pointrend.weights.folder import ModelFolder


@pytest.fixture(autouse=True)
def threads_left_as_they_were() -> Iterator[None]:
    """Loading a model with ``threads`` sets them for the whole process, and sums come out in another order."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache folder of the tests' own: what one of them quantises, the others find there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POINTREND_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TorchServe]:
    """A TorchServe that has answered a prediction; stopped at the end with everything that it started."""
    archive = build(ModelFolder.open("demo").path, tmp_path_factory.mktemp("store"))
    with TorchServe(archive.parent, Ports(*free_ports(6))) as server:
        server.wait_ready()
        yield server
