"""The processes that run models, for tests that kill them, see that they live, or what they share."""

from __future__ import annotations

import time

import psutil

from pointrend.client import Client
from pointrend.serving.torchserve import TorchServe


def workers_of(server: TorchServe) -> list[psutil.Process]:
    """Those that run now."""
    return [
        process
        for process in psutil.Process(server.pid).children(recursive=True)
        if any("model_service_worker" in part for part in process.cmdline())
    ]


def wait_for_answer(server: TorchServe) -> None:
    """Until the model answers again."""
    client = Client(server.url)
    deadline = time.monotonic() + 60
    while not client.ready():
        assert time.monotonic() < deadline, server.log()
        time.sleep(0.2)


def weights_of(worker: psutil.Process) -> str:
    """The file of weights that a worker, of either server, has mapped."""
    (path,) = (each.path for each in worker.memory_maps() if each.path.endswith(".weights"))
    return str(path)
