"""TorchServe as a process on this machine: its ports, its settings, its environment."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path

from pointrend.serving.server_config import PACKAGED
from pointrend.serving.server_state import READY, RESTARTING, STARTING, ServerState
from pointrend.serving.supervisor import Probe
from pointrend.serving.torchserve_settings import environment, private_settings, worker_settings
from pointrend.serving.workers import SINGLE, Workers
from pointrend.system import properties
from pointrend.system.http_probe import UNIX, ask
from pointrend.system.processes import LaunchError
from pointrend.system.service import Service

START_SECONDS = 180.0
KEY_FILE = "key_file.json"  # TorchServe's, in its folder, where it asks for tokens
PROBE_SECONDS = 5.0
HANGING_SECONDS = 60.0  # Java alone answers /ping, whatever the workers do: this long it is no load
# TorchServe restarts a worker that ends or hangs, and gives up after five minutes; a new TorchServe begins again.
WITHOUT_WORKER_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Ports:
    """Loopback ports of a server and the page; behind the gateway, TorchServe has those for gRPC alone."""

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

    Attributes:
        url: where it answers predictions: ``http://HOST:PORT``, or ``unix:PATH`` where it is private.
        management_url: its management, likewise.
        config: the ``config.properties`` that it was started with.

    Args:
        model_store: the folder that holds the archives.
        ports: its loopback ports.
        settings: keys of ``config.properties`` that differ from the file's.
        models: names of the archives to serve, without ``.mar``.
        private: whether only the gateway shall reach its HTTP, see :func:`private_settings`; gRPC keeps its ports,
            which no web page can speak to.
        engine: what computes the models' networks; None for what each archive says.
        workers: of each model; the first one of each starts at once, the others once that has answered.
        relay: whether its log goes to this process' output.
    """

    def __init__(
        self,
        model_store: Path,
        ports: Ports,
        settings: Mapping[str, str] | None = None,
        models: Sequence[str] = ("pointrend",),
        *,
        private: bool = False,
        engine: str | None = None,
        workers: Workers = SINGLE,
        relay: bool = False,
    ) -> None:
        self.workers = workers
        self.models = tuple(models)
        self.rpc_url = f"grpc://127.0.0.1:{ports.grpc_inference}"
        self.grpc_address = f"127.0.0.1:{ports.grpc_inference}"
        # Working directory, PID file, logs and unpacked archives: one folder a server, which others cannot enter.
        self.folder = folder = Path(tempfile.mkdtemp(prefix="pointrend-"))
        self.config = folder / "config.properties"
        load = {"load_models": ",".join(f"{name}.mar" for name in models)}
        sizes = worker_settings(workers, (settings or {}).get("vmargs"))
        overrides = server_settings(ports, model_store.resolve()) | load | dict(settings or {}) | sizes
        if private:
            overrides |= private_settings(folder)
        self.url = overrides["inference_address"]
        self.management_url = overrides["management_address"]
        self.metrics_url = f"{overrides['metrics_address']}/metrics"
        self._settings_text = properties.fill(PACKAGED.read_text(), overrides)
        self.config.write_text(self._settings_text)
        self._state = ServerState(folder)
        self._state.write(STARTING)
        command = [sys.executable, "-m", "pointrend.serving.torchserve_starter", "--start", "--foreground", "--ncs"]
        command += ["--ts-config", str(self.config)]
        super().__init__("TorchServe", command, folder, environment(folder, engine, workers), relay=relay)

    def wait_ready(self) -> None:
        """Return when each model has answered a real prediction; ``/ping`` says Healthy long before that.

        Raises:
            LaunchError: the server ended, or nothing answered in time.
        """
        for name in self.models:
            if self.url.startswith(UNIX):
                self.wait_until(partial(self._answers, name), START_SECONDS)
            else:
                from pointrend.client import Client  # which asks for the token; a launcher by sockets needs none

                self.wait_until(Client(self.url, model=name, timeout=30).ready, START_SECONDS)
        self._add_workers()
        self._state.write(READY)

    def restart(self) -> None:
        """As :meth:`Service.restart`; until it is ready again the gateway says that it is being restarted."""
        self._state.write(RESTARTING)
        super().restart()

    @property
    def probes(self) -> Sequence[Probe]:
        """What tells that it works, however loaded it is; see :mod:`pointrend.serving.supervisor`."""
        return (
            Probe(self._speaks, PROBE_SECONDS, HANGING_SECONDS, " /ping"),
            Probe(self._has_workers, 30.0, WITHOUT_WORKER_SECONDS, " with a worker that is ready"),
        )

    def _answers(self, model: str) -> bool:
        try:
            answer = ask(self.url, f"/predictions/{model}", json_body={"health": True}, seconds=30.0)
        except OSError:
            return False
        return answer.status == HTTPStatus.OK

    def _speaks(self) -> bool:
        """Whether Java answers at all; what it says is no matter."""
        try:
            ask(self.url, "/ping", seconds=PROBE_SECONDS)
        except OSError:
            return False
        return True

    def _has_workers(self) -> bool:
        """Whether each model that is to have workers has one that is ready; True where the question is not answered.

        A prediction would not tell: TorchServe refuses it alike where the queue is full and where no worker is there.
        """
        try:
            for name in self.models:
                answer = ask(self.management_url, f"/models/{name}", seconds=PROBE_SECONDS)
                if answer.status == HTTPStatus.OK and _lacks_worker(answer.body):
                    return False
        except OSError:
            return True
        return True

    def workers_ready(self) -> int:
        """Workers of the first model that are ready; 0 where TorchServe does not tell."""
        try:
            path = f"/models/{self.models[0]}"
            answer = ask(self.management_url, path, seconds=PROBE_SECONDS, headers=self._key())
        except OSError:
            return 0
        return _ready(answer.body) if answer.status == HTTPStatus.OK else 0

    def _add_workers(self) -> None:
        """Ask for the workers beyond the first, which come up meanwhile; an archive says that it wants one.

        Raises:
            LaunchError: TorchServe refuses them.
        """
        count = self.workers.count
        if count == 1:
            return
        for name in self.models:
            path = f"/models/{name}?min_worker={count}&max_worker={count}"
            try:
                answer = ask(self.management_url, path, seconds=START_SECONDS, method="PUT", headers=self._key())
            except OSError as error:
                raise LaunchError(f"TorchServe did not start {self.workers} of {name}: {error}") from error
            if answer.status >= HTTPStatus.BAD_REQUEST:
                said = answer.body.decode("utf-8", "replace")
                raise LaunchError(f"TorchServe did not start {self.workers} of {name}: {answer.status} {said:.500}")

    def _key(self) -> dict[str, str]:
        """The header that management wants where it is on a port that others reach too."""
        try:
            key = json.loads((self.folder / KEY_FILE).read_text())["management"]["key"]
        except FileNotFoundError:
            return {}
        return {"Authorization": f"Bearer {key}"}

    def _clear(self) -> None:
        """Java that was killed leaves its sockets and its PID; a cleaner of temporary files may have taken the rest."""
        for left in (*self.folder.glob("*.sock"), self.folder / ".model_server.pid"):
            left.unlink(missing_ok=True)
        self.config.write_text(self._settings_text)


def _lacks_worker(described: bytes) -> bool:
    """Whether a model, as TorchServe's management describes it, shall have workers and none of them is ready."""
    try:
        (version, *_) = json.loads(described)
        return version["minWorkers"] > 0 and _ready(described) == 0
    except (ValueError, KeyError, TypeError):
        return False


def _ready(described: bytes) -> int:
    """Workers that are ready of a model, as TorchServe's management describes it."""
    (version, *_) = json.loads(described)
    return sum(worker["status"] == "READY" for worker in version["workers"])
