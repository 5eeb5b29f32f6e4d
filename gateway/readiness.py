"""Whether a request would be answered now: the disk, each model by a real prediction, and the page."""

from __future__ import annotations

import asyncio
import errno
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import httpx

from gateway.model_server import ModelServer
from gateway.refusals import overloaded
from pointrend.errors import RequestError, ServerError
from pointrend.serving.server_config import INFERENCE

ASK_SECONDS = 10.0
KEPT_SECONDS = 2.0  # however many ask, the model is asked once in that time
KEPT_AT_START_SECONDS = 0.2  # until it was ready once: what has just started is not to be found out seconds later
PROBE_BYTES = 2**16


def check_disk(folders: Sequence[Path]) -> None:
    """Write a little to each folder; a quota counts too, since it is tried.

    Raises:
        RequestError: 503, one of them has no room.
    """
    for folder in folders:
        try:
            with tempfile.TemporaryFile(dir=folder, prefix=".room-") as file:
                file.write(bytes(PROBE_BYTES))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise ServerError(
                    f"The server's disk is full: {folder} has no room for {PROBE_BYTES} bytes. Free some space; the "
                    "server recovers by itself.",
                    field="disk",
                    limit=PROBE_BYTES,
                    code="disk_full",
                    status=503,
                ) from error


class Readiness:
    """Asked by ``/readyz``; its answer is kept for :data:`KEPT_SECONDS`, before the first good one more briefly.

    Args:
        upstream: whose models are asked.
        folders: that have to have room.
        page: the page's URL, where it counts.
    """

    def __init__(self, upstream: ModelServer, folders: Sequence[Path], page: str | None = None) -> None:
        self._upstream = upstream
        self._folders = folders
        self._page = page
        self._asking = asyncio.Lock()
        self._answered = -KEPT_SECONDS
        self._kept_seconds = KEPT_AT_START_SECONDS
        self._error: RequestError | None = None
        self._disk_asked = -KEPT_SECONDS
        self._disk_error: RequestError | None = None

    async def check(self) -> None:
        """Return where all is ready.

        Raises:
            RequestError: 503 as a rule; what is not.
        """
        clock = asyncio.get_running_loop().time
        async with self._asking:
            if clock() - self._answered >= self._kept_seconds:
                try:
                    await self._ask()
                    self._error, self._kept_seconds = None, KEPT_SECONDS
                except RequestError as error:
                    self._error = error
                self._answered = clock()
        if self._error is not None:
            raise self._error

    async def check_model(self, path: str) -> None:
        """As :meth:`check`, for one model.

        Args:
            path: of the model, ``/predictions/NAME[/VERSION]``.
        """
        await self.check_disk()
        await self._ask_model(path)

    async def check_disk(self) -> None:
        """As :func:`check_disk`, at most once in :data:`KEPT_SECONDS` and without holding up other requests."""
        now = asyncio.get_running_loop().time()
        if now - self._disk_asked >= KEPT_SECONDS:
            self._disk_asked, self._disk_error = now, None
            try:
                await asyncio.to_thread(check_disk, self._folders)
            except RequestError as error:
                self._disk_error = error
        if self._disk_error is not None:
            raise self._disk_error

    async def _ask(self) -> None:
        await self.check_disk()
        if self._page is not None:
            try:
                async with httpx.AsyncClient(timeout=ASK_SECONDS, trust_env=False) as client:
                    (await client.head(self._page)).raise_for_status()
            except httpx.HTTPError as error:
                raise overloaded() from error
        for model in self._upstream.models:
            await self._ask_model(f"/predictions/{model}")

    async def _ask_model(self, path: str) -> None:
        asked = self._upstream.ask(
            INFERENCE,
            "POST",
            path,
            headers={"content-type": "application/json"},
            pieces=[b'{"health": true}'],
            seconds=ASK_SECONDS,
        )
        async with asked as answer:
            await answer.aread()
