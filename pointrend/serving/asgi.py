"""The server without TorchServe and Java, as a process on this machine: the gateway with workers of its own."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from pointrend.serving.supervisor import Probe
from pointrend.serving.torchserve import HANGING_SECONDS, PROBE_SECONDS, START_SECONDS
from pointrend.serving.workers import SINGLE, Workers
from pointrend.system.http_probe import ask
from pointrend.system.processes import child_environment
from pointrend.system.service import Service


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """What is served under one name.

    Attributes:
        path: an archive, or a model's folder.
        engine: what computes its network; None for what ``model-config.yaml`` says.
        workers: processes that run it, with how many threads each, and how many requests wait for them.
    """

    path: Path
    engine: str | None = None
    workers: Workers = SINGLE

    def entry(self) -> dict[str, str | int]:
        """What the server's table of models says of it."""
        said = {
            "path": str(self.path.resolve()),
            "engine": self.engine,
            "workers": self.workers.count,
            "threads": self.workers.threads,
            "waiting": self.workers.waiting,
        }
        return {key: value for key, value in said.items() if value is not None}


class AsgiServer(Service):
    """A server that runs models by processes of its own (``python -m gateway.app --models``).

    Attributes:
        url: where it answers.
        management_url: where it tells of its models: the same.
        metrics_url: Prometheus' metrics.
        models: names of what it serves.
        folder: its working directory, with its log.

    Args:
        models: what to serve, by the names that requests use.
        port: on loopback.
        options: more of ``python -m gateway.app --help``.
        engine: what computes all networks; None for what ``models`` say.
        relay: whether its log goes to this process' output.
    """

    def __init__(
        self,
        models: Mapping[str, ModelFiles],
        port: int,
        options: Sequence[str] = (),
        *,
        engine: str | None = None,
        relay: bool = False,
    ) -> None:
        self.url = self.management_url = f"http://127.0.0.1:{port}"
        self.metrics_url = f"{self.url}/metrics"
        self.folder = folder = Path(tempfile.mkdtemp(prefix="pointrend-server-"))
        self._table = folder / "models.json"
        self._models: dict[str, ModelFiles] = {}
        for name, files in models.items():
            self.put(name, files)
        command = [sys.executable, "-m", "gateway.app", "--models", str(self._table), "--port", str(port)]
        command += ["--engine", engine] if engine else []
        environment = child_environment(TMPDIR=str(folder))
        super().__init__("The server", [*command, *options], folder, environment, relay=relay)

    @property
    def models(self) -> tuple[str, ...]:
        """Names of what it serves."""
        return tuple(self._models)

    def put(self, name: str, files: ModelFiles) -> None:
        """Serve something under a name from the next start on."""
        self._models[name] = files
        self._table.write_text(json.dumps({name: each.entry() for name, each in self._models.items()}))

    def wait_ready(self) -> None:
        """Return when each model has answered a real prediction.

        Raises:
            LaunchError: it ended, for instance since a model cannot be loaded, or nothing answered in time.
        """
        self.wait_until(lambda: self._answers("/readyz"), START_SECONDS)

    @property
    def probes(self) -> Sequence[Probe]:
        """What tells that it works; see :mod:`pointrend.serving.supervisor`. It looks after its workers by itself."""
        return (Probe(lambda: self._answers("/healthz"), PROBE_SECONDS, HANGING_SECONDS, " /healthz"),)

    def _answers(self, path: str) -> bool:
        try:
            return ask(self.url, path, seconds=30).status == HTTPStatus.NO_CONTENT
        except OSError:
            return False
