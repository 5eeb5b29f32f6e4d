"""The gateway (``gateway.app``) as a process on this machine; it stands before a private TorchServe."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path

from pointrend.serving.supervisor import Probe
from pointrend.serving.torchserve import HANGING_SECONDS, PROBE_SECONDS, TorchServe
from pointrend.system.http_probe import ask
from pointrend.system.processes import child_environment
from pointrend.system.service import Service

START_SECONDS = 60.0


class Gateway(Service):
    """The address that callers know.

    Args:
        torchserve: what it stands before.
        port: on loopback.
        options: more of ``python -m gateway.app --help``.
        relay: whether its log goes to this process' output.
    """

    def __init__(self, torchserve: TorchServe, port: int, options: Sequence[str] = (), *, relay: bool = False) -> None:
        self.url = f"http://127.0.0.1:{port}"
        folder = Path(tempfile.mkdtemp(prefix="pointrend-gateway-"))
        command = [sys.executable, "-m", "gateway.app", "--torchserve", str(torchserve.config), "--port", str(port)]
        environment = child_environment(TMPDIR=str(folder))
        super().__init__("The gateway", [*command, *options], folder, environment, relay=relay)

    def wait_ready(self) -> None:
        """Return when it listens; what stands behind it may still be starting.

        Raises:
            LaunchError: it ended, or nothing answered in time.
        """
        self.wait_until(self._answers, START_SECONDS)

    @property
    def probes(self) -> Sequence[Probe]:
        """What tells that it works; see :mod:`pointrend.serving.supervisor`."""
        return (Probe(self._answers, PROBE_SECONDS, HANGING_SECONDS, " /healthz"),)

    def _answers(self) -> bool:
        try:
            return ask(self.url, "/healthz", seconds=5).status == HTTPStatus.NO_CONTENT
        except OSError:
            return False
