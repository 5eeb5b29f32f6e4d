"""The model that a running server serves, and its exchange for another one that is on this machine.

TorchServe's model API stays off: the archive is replaced under its name, and the server is started anew in its folder.
Meanwhile the gateway before a TorchServe answers that the server is restarting; the page stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from pointrend.engines import AUTO, EXPORTED, OPENVINO_INT8, resolve, store
from pointrend.engines.fallback import make_or_fall_back
from pointrend.errors import PointRendError
from pointrend.serving.archive import build
from pointrend.serving.supervisor import Supervised
from pointrend.system.channel import ChannelError
from pointrend.system.processes import LaunchError
from pointrend.weights import cache, zoo
from pointrend.weights.folder import PACKAGED, ModelFolder
from pointrend.weights.hub import store as hub_store

SUGGESTED = "coco-r50-3x"


class ServedModel:
    """What a server serves under one name; safe to call from several threads.

    Args:
        server: serves it.
        put: has the server serve a model instead, from its next start on; what
            :class:`~pointrend.errors.PointRendError` it raises becomes a :class:`ChannelError`.
        model: what the caller named: a model's name, its address on the Hub, or a folder.
        folder: that model, opened.
        console: is told of an exchange.
    """

    def __init__(
        self,
        server: Supervised,
        put: Callable[[ModelFolder], None],
        *,
        model: str | Path,
        folder: ModelFolder,
        console: Console,
    ) -> None:
        self._server = server
        self._put = put
        self._console = console
        # A folder is shown by its model's name: a path is nobody's business.
        self._first = folder.info.name if Path(model).is_dir() else str(model)
        self._first_folder = folder
        self._served = self._first
        self._coming: str | None = None

    @property
    def name(self) -> str:
        """The name of the model that is served, or was until an exchange began."""
        return self._served

    def choices(self) -> list[str]:
        """Names of the models that can be served now: the first one, the package's, and those that were pulled."""
        pulled = [name for name in zoo.names() if cache.is_cached(name)]
        kept = [str(address) for each in hub_store.kept_models() for address in each.pinned_by or (each.address,)]
        return list(dict.fromkeys([self._first, *PACKAGED, *pulled, *kept]))

    def answer(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """Answer the page: ``{"serve": NAME}`` exchanges the model first, and any question is told how things are.

        Raises:
            ChannelError: no such model is here, another exchange runs, or the model could not be served; the message
                says which model is served now.
        """
        if "serve" in question:
            self.exchange(str(question["serve"]))
        return {"served": self._served, "coming": self._coming, "models": self.choices(), "hint": suggestion()}

    def exchange(self, name: str) -> None:
        """Serve another model, and return once it has answered; a failure brings the last one back.

        Raises:
            ChannelError: as :meth:`answer` says.
        """
        if name not in self.choices():
            raise ChannelError(f"There is no model {name!r:.100} here; choose one of {', '.join(self.choices())}.")
        if not self._server.replacing.acquire(blocking=False):
            raise ChannelError(f"{self._coming or 'The server'} is being started; try again once it is ready.")
        try:
            if name != self._served:
                self._coming = name
                self._exchange(name)
        finally:
            self._coming = None
            self._server.replacing.release()

    def _exchange(self, name: str) -> None:
        before = self._served
        try:
            self._put_name(name)
        except PointRendError as error:  # nothing has changed yet
            raise ChannelError(f"{name} cannot be served: {error} {before} is served as before.") from error
        try:
            self._restart()
            self._served = name
        except LaunchError as error:
            self._bring_back(before)
            raise ChannelError(f"{name} could not be started: {error} {before} is served again.") from error
        self._console.print(f"Now {name} is served.")

    def _bring_back(self, name: str) -> None:
        try:
            self._put_name(name)
            self._restart()
        except PointRendError as error:
            raise ChannelError(f"{name} could not be restarted: {error}") from error

    def _put_name(self, name: str) -> None:
        self._put(self._first_folder if name == self._first else ModelFolder.open(name))

    def _restart(self) -> None:
        self._server.restart()
        self._server.wait_ready()


def pack(folder: ModelFolder, model_store: Path, archive: str, engine: str, console: Console) -> None:
    """Make what an engine needs, where this was not done before, and build the archive; the console tells of both.

    Args:
        folder: the model.
        model_store: receives ``ARCHIVE.mar``.
        archive: its name.
        engine: a name, or ``auto``, which falls back to eager where the model would lose too much with the faster one.
        console: is told what is done.

    Raises:
        PointRendError: as :func:`pointrend.serving.archive.build` says.
    """
    engine = prepare_engine(folder, engine, console)
    with console.status("Building the archive"):
        path = build(folder, model_store, archive, engine=engine)
    size = f"{path.stat().st_size / 2**20:.1f} MiB"
    console.print(f"Built {path.name} ({size}) with {folder.info.name}, for the engine {engine}.")


def prepare_engine(folder: ModelFolder, engine: str, console: Console) -> str:
    """Make what an engine needs, where this was not done before; the console tells of it.

    Returns:
        its name; ``eager`` where ``auto`` fell back to it.

    Raises:
        PointRendError: it cannot be made.
    """
    engine, _ = make_or_fall_back(
        resolve(engine, folder.network),
        lambda name: _export(folder, name, console),
        automatic=engine == AUTO,
        model=folder.info.name,
        tell=lambda message: console.print(message, markup=False, soft_wrap=True),
    )
    return engine


def _export(folder: ModelFolder, engine: str, console: Console) -> None:
    """Make the files of an engine that needs some, unless they are there, and say so: it takes a while."""
    if engine not in EXPORTED:
        return
    doing, done = ("Quantising", "quantised") if engine == OPENVINO_INT8 else ("Converting", "converted")
    known = store.find(folder, engine)
    if known is not None:
        console.print(f"{folder.info.name} was {done} before: {known}.")
        return
    # With it comes torch, which would stay in a process that only waits.
    from pointrend.engines.export import prepare

    with console.status(f"{doing} {folder.info.name}, once"):
        place = prepare(folder, engine)
    console.print(f"{done.capitalize()} {folder.info.name}; kept in {place}.")


def suggestion() -> str | None:
    """How to get a better model than the demo, in one line; None where it is here, or where no network is wanted."""
    if cache.offline() or cache.is_cached(SUGGESTED):
        return None
    model = zoo.find(SUGGESTED)
    size, licence = f"{model.weight_bytes / 2**20:.0f} MiB", model.licence.split(",")[0]
    return (
        f"For more accurate masks, get {model.title}: "
        f"run 'pointrend weights pull {SUGGESTED}' ({size}, {licence}), then choose it on the page."
    )
