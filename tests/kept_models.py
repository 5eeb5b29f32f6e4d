"""Models in the cache, as if they had been pulled; and a server whose model can be exchanged for one of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

from rich.console import Console

from pointrend.serving.archive import ARCHIVE_NAME
from pointrend.serving.gateway_process import Gateway
from pointrend.serving.served_model import ServedModel, pack
from pointrend.serving.torchserve import Ports, TorchServe
from pointrend.weights import cache, zoo
from pointrend.weights.convert import convert
from pointrend.weights.folder import ModelFolder
from tests.ports import free_ports

GOLDEN = Path(__file__).parent / "golden"


def keep(name: str, golden: str) -> Path:
    """Put a narrow model into the cache under a published name, as a pull does."""
    folder = cache.model_path(name)
    case = GOLDEN / golden
    with cache.replacing(folder) as made:
        convert(case / "model_final.pkl", case / "config.yaml", made, zoo.find(name).info)
        cache.write_manifest(made, {"url": "http://127.0.0.1/"})
    return folder


@contextmanager
def exchangeable(store: Path) -> Iterator[tuple[ServedModel, Gateway]]:
    """A TorchServe with the demo model, behind a gateway."""
    console, demo = Console(file=StringIO()), ModelFolder.open("demo")

    def put(folder: ModelFolder) -> None:
        pack(folder, store, ARCHIVE_NAME, "eager", console)

    put(demo)
    with (
        TorchServe(store, Ports(*free_ports(6)), private=True) as server,
        Gateway(server, free_ports(1)[0]) as gateway,
    ):
        gateway.wait_ready()
        server.wait_ready()
        yield (
            ServedModel(server, put, model="demo", folder=demo, console=console),
            gateway,
        )
