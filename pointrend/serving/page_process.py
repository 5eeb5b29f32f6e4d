"""The Gradio page (``gradio_app``) as a process on this machine."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path

from pointrend.serving.supervisor import Probe
from pointrend.serving.torchserve import PROBE_SECONDS
from pointrend.system.environment import KEY_FILE
from pointrend.system.http_probe import ask
from pointrend.system.processes import child_environment
from pointrend.system.service import Service

START_SECONDS = 60.0
HANGING_SECONDS = 300.0  # a crowd keeps its event loop busy for a while


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
            return ask(self.url, "/", seconds=5).status == HTTPStatus.OK
        except OSError:
            return False
