"""The archive that the container serves: the image's own, one that was mounted, or one that is built at the start."""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from gateway.config import ContainerConfig, VariableError
from pointrend.engines import EXPORTED, VARIABLE
from pointrend.serving.archive import ARCHIVE_NAME, build
from pointrend.weights.cache import MANIFEST
from pointrend.weights.folder import INFO, ModelFolder
from pointrend.weights.hub.address import HubAddress

DEMO = "demo"
STORE = "POINTREND_STORE"  # set by the image: the folder with the archive that was built with it
FILE = f"{ARCHIVE_NAME}.mar"


def prepare(config: ContainerConfig, stack: ExitStack, say: Callable[[str], None]) -> Path:
    """The folder with the archive to serve.

    Args:
        config: names the model, the store and the engine.
        stack: removes the archive at its end where one was built.
        say: told of what takes its time.

    Raises:
        VariableError: the store has no archive, or the archive lacks what the engine needs.
        PointRendError: the model cannot be pulled or packed.
    """
    store = config.store
    if store is None or (config.model and config.model not in _names(_archive(store))):
        store = _build(config.model or DEMO, stack, say)
    _require_engine(_archive(store), config.engine)
    return store


def _build(model: str, stack: ExitStack, say: Callable[[str], None]) -> Path:
    from pointrend.weights.pull import is_missing, pull  # with it comes what downloads, which an image's own needs not

    if is_missing(model):
        say(f"Pulling {model}.")
        folder = pull(model)
    else:
        folder = ModelFolder.open(model)
    store = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pointrend-store-")))
    build(folder, store, ARCHIVE_NAME)
    say(f"Built the archive with {folder.info.name}.")
    return store


def _archive(store: Path) -> Path:
    archive = store / FILE
    if not zipfile.is_zipfile(archive):
        raise VariableError(
            f"{STORE} is {str(store)!r}, which holds no archive {FILE}; `pointrend archive --destination` makes one."
        )
    return archive


def _names(archive: Path) -> frozenset[str]:
    """What POINTREND_MODEL may be for the archive to be meant: the name or the addresses that it was pulled by."""
    with zipfile.ZipFile(archive) as file:
        members = set(file.namelist())
        if f"model/{MANIFEST}" not in members:
            return frozenset({DEMO})  # packed from a folder, as the demo is
        source = json.loads(file.read(f"model/{MANIFEST}"))["source"]
        if "repository" not in source:
            return frozenset({json.loads(file.read(f"model/{INFO}"))["name"]})
    address = HubAddress(*source["repository"].split("/"))
    return frozenset({str(address.at(source["commit"])), str(address.at(source["revision"]))})


def _require_engine(archive: Path, engine: str | None) -> None:
    """Find out now, rather than by a worker that does not come up, that an engine's files are missing."""
    if engine not in EXPORTED:
        return
    with zipfile.ZipFile(archive) as file:
        if not any(name.startswith(f"model/{engine}/") for name in file.namelist()):
            raise VariableError(
                f"{VARIABLE} is {engine!r}, and {archive} was built without what that needs. Set it to 'auto', or "
                f"build the archive with `pointrend archive --engine {engine}` and mount it as {STORE}."
            )
