"""``pointrend up``: the server and the page on one machine, started and stopped together."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from pointrend.engines import AUTO, EAGER, require, resolve
from pointrend.errors import Unreachable
from pointrend.serving.archive import ARCHIVE_NAME, with_safetensors
from pointrend.serving.asgi import AsgiServer, ModelFiles
from pointrend.serving.backends import ASGI, NAMES, TORCHSERVE
from pointrend.serving.gateway_process import Gateway
from pointrend.serving.page_process import Page
from pointrend.serving.served_model import ServedModel, pack, prepare_engine, suggestion
from pointrend.serving.supervisor import Supervised, Supervisor
from pointrend.serving.torchserve import Ports, TorchServe
from pointrend.serving.workers import Workers, choose
from pointrend.system.channel import Channel
from pointrend.system.home import home
from pointrend.system.processes import LaunchError, require_free_port
from pointrend.system.stop_signals import StopSignals
from pointrend.weights.folder import WEIGHTS, ModelFolder
from pointrend.weights.obtain import obtain

_CHECKOUT = Path(__file__).resolve().parents[2]
# An installed package has no folder of its own to write to.
STORE = (_CHECKOUT if (_CHECKOUT / "pyproject.toml").is_file() else home()) / "model_store"
FREE_BYTES_NEEDED = 512 * 2**20  # the archive, its unpacked copy in the temporary folder, and logs


@dataclass(frozen=True, slots=True)
class Running:
    """A server that was started, and need not be ready yet.

    Attributes:
        url: where it answers.
        server: what serves the models, which is restarted where another one is to be served.
        services: all that was started.
        put: has the server serve a model under a name from its next start on.
    """

    url: str
    server: Supervised
    services: Sequence[Supervised]
    put: Callable[[str, ModelFolder], None]


def up(
    model: str | Path,
    ports: Ports,
    *,
    page: bool = True,
    mcp: bool = False,
    also: Sequence[str | Path] = (),
    engine: str = EAGER,
    server: str = TORCHSERVE,
    workers: int | None = None,
) -> None:
    """Serve models, open the page, and stay until Ctrl-C or SIGTERM.

    What ends by itself is restarted, see :mod:`pointrend.serving.supervisor`.

    Args:
        model: a model's name, address on the Hub, or folder.
        ports: loopback ports.
        page: whether the Gradio page runs too.
        mcp: whether the page serves its API by the Model Context Protocol too.
        also: more models to serve beside ``model``, each under its own name; the page shows the first.
        engine: what computes the networks: one of :data:`pointrend.engines.NAMES`, or ``auto``, for what
            :func:`pointrend.engines.resolve` chooses.
        server: what serves them: one of :data:`pointrend.serving.backends.NAMES`.
        workers: of each model, see :func:`pointrend.serving.workers.choose`.

    Raises:
        ConfigError: there is no such engine, its package is not installed, or it has no such network; or cores or
            memory do not allow so many workers.
        LaunchError: something is in the way, or ended too often; nothing is left running.
        Unreachable: a published model is not here, and cannot be downloaded now.
    """
    if server not in NAMES:
        raise LaunchError(f"There is no server {server!r:.100}; choose one of {', '.join(NAMES)}.")
    console = Console()
    if engine != AUTO:
        require(engine)
    chosen = choose(workers, models=1 + len(also))
    _check_machine(ports, page=page, rpc=server == TORCHSERVE)
    folders = {ARCHIVE_NAME: _obtain(model, console)}
    for each in also:
        folder = _obtain(each, console)
        if folder.info.name in folders:
            raise LaunchError(f"{folder.info.name} is given twice; each model needs its own name.")
        folders[folder.info.name] = folder
    for folder in folders.values():
        resolve(engine, folder.network)  # refuses what does not fit before anything is started
    started = time.monotonic()
    with StopSignals(), ExitStack() as stack:
        running = stack.enter_context(SERVERS[server](folders, ports, engine, chosen, console))
        services: list[Supervised] = list(running.services)
        if page:
            served = ServedModel(
                running.server,
                partial(running.put, ARCHIVE_NAME),
                model=model,
                folder=folders[ARCHIVE_NAME],
                console=console,
            )
            channel = stack.enter_context(Channel(served.answer))
            # Beside the server: it needs none until somebody opens it, who cannot change the model until it answers.
            gradio_page = Page(running.url, ports.page, mcp=mcp, channel=channel.environment)
            services.append(stack.enter_context(gradio_page))
        with running.server.replacing, console.status("Starting the server and waiting for a first prediction"):
            for service in reversed(running.services):
                service.wait_ready()
        for name in folders:
            console.print(f"The server answers at [bold]{running.url}/predictions/{name}[/] with {chosen}")
        if isinstance(running.server, TorchServe):
            console.print(f"TorchServe's management is at {running.server.management_url}", soft_wrap=True)
        if page:
            with console.status("Starting the page"):
                gradio_page.wait_ready()
            console.print(f"Open [bold]{gradio_page.url}[/] in a browser.")
            if hint := suggestion():
                console.print(hint, soft_wrap=True)
        _stay(console, started, *services)
    console.print("Stopped.")


@contextmanager
def _torchserve(
    folders: Mapping[str, ModelFolder], ports: Ports, engine: str, workers: Workers, console: Console
) -> Iterator[Running]:
    """Pack the models, and start TorchServe behind the gateway."""

    def put(name: str, folder: ModelFolder) -> None:
        pack(folder, STORE, name, engine, console)

    for name, folder in folders.items():
        put(name, folder)
    with (
        TorchServe(STORE, ports, models=tuple(folders), private=True, workers=workers) as server,
        Gateway(server, ports.inference) as gateway,
    ):
        yield Running(gateway.url, server, (server, gateway), put)


@contextmanager
def _asgi(
    folders: Mapping[str, ModelFolder], ports: Ports, engine: str, workers: Workers, console: Console
) -> Iterator[Running]:
    """Start the server that runs the models in processes of its own, from their folders."""
    with tempfile.TemporaryDirectory(prefix="pointrend-converted-") as converted:

        def files(folder: ModelFolder) -> ModelFiles:
            if folder.weights.name != WEIGHTS:
                folder = with_safetensors(folder, Path(tempfile.mkdtemp(dir=converted)) / "model")
            return ModelFiles(folder.path, prepare_engine(folder, engine, console), workers)

        with AsgiServer({name: files(folder) for name, folder in folders.items()}, ports.inference) as server:

            def put(name: str, folder: ModelFolder) -> None:
                server.put(name, files(folder))

            yield Running(server.url, server, (server,), put)


SERVERS = {TORCHSERVE: _torchserve, ASGI: _asgi}
"""What may serve, by its name."""


def _obtain(model: str | Path, console: Console) -> ModelFolder:
    """Open a model, pulled where it is missing; without a connection, there is the demo."""
    try:
        return obtain(model, console)
    except Unreachable as error:
        raise Unreachable(
            f"{error} The demo model comes with the package and needs no connection: pointrend up --model demo"
        ) from error


def _stay(console: Console, started: float, *services: Supervised) -> None:
    """Return never: what ends is restarted, and what cannot be ends everything."""
    console.print(f"Ready after {time.monotonic() - started:.0f} s. Ctrl-C stops it.")
    say = partial(console.print, markup=False, highlight=False, soft_wrap=True)  # one line each
    with Supervisor(services, say) as supervisor:
        supervisor.wait()


def _check_machine(ports: Ports, *, page: bool, rpc: bool) -> None:
    wanted = [("inference", "the server")]
    if rpc:
        wanted += [("grpc_inference", "gRPC"), ("grpc_management", "TorchServe's management by gRPC")]
    for name, purpose in wanted:
        require_free_port(getattr(ports, name), purpose, "--server-port")
    if page:
        require_free_port(ports.page, "the page", "--port")
    STORE.mkdir(parents=True, exist_ok=True)
    for place in {STORE, Path(tempfile.gettempdir())}:
        free = shutil.disk_usage(place).free
        if free < FREE_BYTES_NEEDED:
            raise LaunchError(
                f"{place} has {free / 2**20:.0f} MiB free; {FREE_BYTES_NEEDED / 2**20:.0f} MiB are needed. "
                "Free some space and try again."
            )
