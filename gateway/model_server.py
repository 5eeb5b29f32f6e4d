"""What the gateway needs of whatever runs the models behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

import httpx


class ModelServer(Protocol):
    """A TorchServe (:class:`gateway.upstream.Upstream`), or workers of our own.

    Attributes:
        folder: its working directory, which has to have room.
        models: the names under which it serves.
        max_request_bytes: the largest request.
    """

    folder: Path
    models: tuple[str, ...]
    max_request_bytes: int

    async def start(self) -> None:
        """Begin, once there is an event loop; returns before models are loaded."""

    async def close(self) -> None:
        """End what was begun."""

    def ask(
        self,
        kind: str,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        pieces: Sequence[bytes | bytearray] = (),
        seconds: float | None = None,
    ) -> AbstractAsyncContextManager[httpx.Response]:
        """A success, whose body is still to be read.

        Args:
            kind: :data:`~pointrend.serving.server_config.INFERENCE`, ``MANAGEMENT`` or ``METRICS``.
            method: of HTTP.
            path: of TorchServe's REST API, built by the gateway, never a caller's.
            headers: of the request.
            pieces: of its body.
            seconds: patience, if other than for a prediction.

        Raises:
            RequestError: there is none, in our form.
        """
