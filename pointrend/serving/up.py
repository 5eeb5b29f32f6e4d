"""``pointrend up``: TorchServe, the gateway and the page on one machine, started and stopped together."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import FrameType, TracebackType

import requests
from rich.console import Console

from pointrend.engines import AUTO, EAGER, require, resolve
from pointrend.errors import Unreachable
from pointrend.serving.archive import ARCHIVE_NAME
from pointrend.serving.gateway_process import Gateway
from pointrend.serving.served_model import ServedModel, pack, suggestion
from pointrend.serving.supervisor import Probe, Supervised, Supervisor
from pointrend.serving.torchserve import PROBE_SECONDS, Ports, TorchServe
from pointrend.system.channel import Channel
from pointrend.system.environment import KEY_FILE
from pointrend.system.home import home
from pointrend.system.processes import LaunchError, child_environment, require_free_port
from pointrend.system.service import Service
from pointrend.weights.folder import ModelFolder
from pointrend.weights.obtain import obtain

_CHECKOUT = Path(__file__).resolve().parents[2]
# An installed package has no folder of its own to write to.
STORE = (_CHECKOUT if (_CHECKOUT / "pyproject.toml").is_file() else home()) / "model_store"
START_SECONDS = 60.0
HANGING_SECONDS = 300.0  # a crowd keeps its event loop busy for a while
FREE_BYTES_NEEDED = 512 * 2**20  # the archive, its unpacked copy in the temporary folder, and logs


class Page(Service):
    """The Gradio page, a client of the server at ``server_url``.

    Args:
        server_url: which it asks.
        port: on loopback.
        mcp: whether its API is there for MCP too.
        key_file: holds the secret of a server that asks for one, as TorchServe's ``key_file.json`` does.
        relay: whether its log goes to this process' output.
        channel: through which it asks for another model, see
            :class:`pointrend.serving.served_model.ServedModel`.
    """

    def __init__(
        self,
        server_url: str,
        port: int,
        *,
        mcp: bool = False,
        key_file: Path | None = None,
        relay: bool = False,
        channel: Mapping[str, str] | None = None,
    ) -> None:
        self.url = f"http://127.0.0.1:{port}"
        folder = Path(tempfile.mkdtemp(prefix="pointrend-page-"))
        command = [sys.executable, "-m", "gradio_app", "--server", server_url, "--port", str(port)]
        env = child_environment(TMPDIR=str(folder), GRADIO_TEMP_DIR=str(folder / "uploads"))
        if key_file is not None:
            env[KEY_FILE.name] = str(key_file)
        env |= dict(channel or {})
        super().__init__("The page", [*command, "--mcp"] if mcp else command, folder, env, relay=relay)

    def wait_ready(self) -> None:
        """Return when the page is served.

        Raises:
            LaunchError: the page ended, or nothing answered in time.
        """
        self.wait_until(self._answers, START_SECONDS)

    @property
    def probes(self) -> Sequence[Probe]:
        """What tells that it works; see :mod:`pointrend.serving.supervisor`."""
        return (Probe(self._answers, PROBE_SECONDS, HANGING_SECONDS),)

    def _answers(self) -> bool:
        try:
            return requests.get(self.url, timeout=5).ok
        except requests.RequestException:
            return False


class StopRequest(BaseException):
    """SIGINT or SIGTERM arrived."""


class StopSignals:
    """Turns SIGINT and SIGTERM into one :class:`StopRequest`; further ones wait until everything has stopped."""

    def __enter__(self) -> StopSignals:
        self._before = {number: signal.signal(number, self._raise) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def _raise(self, _number: int, _frame: FrameType | None) -> None:
        for number in self._before:
            signal.signal(number, signal.SIG_IGN)
        raise StopRequest

    def __exit__(self, kind: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> bool:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        return kind is StopRequest


def up(
    model: str | Path,
    ports: Ports,
    *,
    page: bool = True,
    mcp: bool = False,
    also: Sequence[str | Path] = (),
    engine: str = EAGER,
) -> None:
    """Build the archives, serve them, open the page, and stay until Ctrl-C or SIGTERM.

    What ends by itself is restarted, see :mod:`pointrend.serving.supervisor`.

    Args:
        model: a model's name, address on the Hub, or folder.
        ports: loopback ports.
        page: whether the Gradio page runs too.
        mcp: whether the page serves its API by the Model Context Protocol too.
        also: more models to serve beside ``model``, each under its own name; the page shows the first.
        engine: what computes the networks: one of :data:`pointrend.engines.NAMES`, or ``auto``, for what
            :func:`pointrend.engines.resolve` chooses.

    Raises:
        ConfigError: there is no such engine, its package is not installed, or it has no such network.
        LaunchError: something is in the way, or ended too often; nothing is left running.
        Unreachable: a published model is not here, and cannot be downloaded now.
    """
    console = Console()
    if engine != AUTO:
        require(engine)
    _check_machine(ports, page=page)
    folders = {ARCHIVE_NAME: _obtain(model, console)}
    for each in also:
        folder = _obtain(each, console)
        if folder.info.name in folders:
            raise LaunchError(f"{folder.info.name} is given twice; each model needs its own name.")
        folders[folder.info.name] = folder
    for folder in folders.values():
        resolve(engine, folder.network)  # refuses what does not fit before anything is started
    started = time.monotonic()
    with StopSignals():
        for name, folder in folders.items():
            pack(folder, STORE, name, engine, console)
        with (
            TorchServe(STORE, ports, models=tuple(folders), private=True) as server,
            Gateway(server, ports.inference) as gateway,
        ):
            with console.status("Starting TorchServe and waiting for a first prediction"):
                gateway.wait_ready()
                server.wait_ready()
            for name in folders:
                console.print(f"The server answers at [bold]{gateway.url}/predictions/{name}[/]")
            console.print(f"TorchServe's management is at {server.management_url}", soft_wrap=True)
            if not page:
                _stay(console, started, server, gateway)
            served = ServedModel(
                server,
                STORE,
                ARCHIVE_NAME,
                model=model,
                folder=folders[ARCHIVE_NAME],
                engine=engine,
                console=console,
            )
            with (
                Channel(served.answer) as channel,
                Page(gateway.url, ports.page, mcp=mcp, channel=channel.environment) as gradio_page,
            ):
                with console.status("Starting the page"):
                    gradio_page.wait_ready()
                console.print(f"Open [bold]{gradio_page.url}[/] in a browser.")
                hint = suggestion()
                if hint:
                    console.print(hint, soft_wrap=True)
                _stay(console, started, server, gateway, gradio_page)
    console.print("Stopped.")


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


def _check_machine(ports: Ports, *, page: bool) -> None:
    for name, purpose in (
        ("inference", "the server"),
        ("grpc_inference", "gRPC"),
        ("grpc_management", "TorchServe's management by gRPC"),
    ):
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
