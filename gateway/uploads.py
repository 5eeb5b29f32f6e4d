"""Bodies on their way in: how many, how large, and how slow they may be.

A body is read whole before TorchServe hears of it, so that a caller who drips holds nobody's place there.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from gateway.limits import ClientLimits
from gateway.refusals import overloaded, request_too_large
from pointrend.errors import RequestError


class Uploads:
    """The bodies of all requests.

    Args:
        limits: of the callers.
        request_bytes: the largest body.
    """

    def __init__(self, limits: ClientLimits, request_bytes: int) -> None:
        self._limits = limits
        self._request_bytes = request_bytes
        self._all = asyncio.Semaphore(limits.uploads)
        self._by_address: dict[str, asyncio.Semaphore] = {}
        self._users: Counter[str] = Counter()
        self._buffered = 0

    @asynccontextmanager
    async def body(self, receive: Receive, address: str, declared: int | None) -> AsyncIterator[bytes]:
        """The whole body of a request, whose bytes count against the limit until the block ends.

        Args:
            receive: ASGI's.
            address: the caller's.
            declared: Content-Length.

        Raises:
            RequestError: 408 too slow, 413 too large, 429 too many at a time from this address, 503 from all.
            ClientDisconnect: the caller has gone.
        """
        if declared is not None and declared > self._request_bytes:
            raise request_too_large(self._request_bytes, declared)
        taken = 0
        pieces: list[bytes] = []
        try:
            async with self._turn(address):
                async for piece in self._pieces(receive):
                    self._buffered += len(piece)
                    taken += len(piece)
                    pieces.append(piece)
                    if taken > self._request_bytes:
                        raise request_too_large(self._request_bytes)
                    if self._buffered > self._limits.buffered_bytes:
                        raise overloaded()
            whole = b"".join(pieces)
            pieces.clear()
            yield whole
        finally:
            self._buffered -= taken

    async def _pieces(self, receive: Receive) -> AsyncIterator[bytes]:
        """The pieces of a body as they come, as long as they come fast enough."""
        limits = self._limits
        loop = asyncio.get_running_loop()
        begun, received, more = loop.time(), 0, True
        while more:
            patience = min(limits.upload_seconds, limits.grace_seconds + received / limits.upload_bytes_per_second)
            try:
                async with asyncio.timeout_at(begun + patience):
                    message = await receive()
            except TimeoutError:
                raise RequestError(
                    f"The body arrived too slowly: {received} bytes in {loop.time() - begun:.0f} s. It may take "
                    f"{limits.upload_seconds:g} s in all, at {limits.upload_bytes_per_second} bytes a second or more.",
                    field="body",
                    limit=limits.upload_seconds,
                    value=received,
                    code="upload_too_slow",
                    status=408,
                ) from None
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            more = message.get("more_body", False)
            piece = message.get("body", b"")
            received += len(piece)
            yield piece

    @asynccontextmanager
    async def _turn(self, address: str) -> AsyncIterator[None]:
        """Wait until this address, and then the server, has room for one more body."""
        own = self._by_address.setdefault(address, asyncio.Semaphore(self._limits.uploads_per_address))
        self._users[address] += 1
        try:
            async with (
                _acquired(own, self._limits.wait_seconds, self._too_many()),
                _acquired(self._all, self._limits.wait_seconds, overloaded()),
            ):
                yield
        finally:
            self._users[address] -= 1
            if not self._users[address]:
                del self._users[address], self._by_address[address]

    def _too_many(self) -> RequestError:
        limit = self._limits.uploads_per_address
        return RequestError(
            f"{limit} requests from this address are still sending their bodies; try again once one has arrived.",
            limit=limit,
            code="too_many_uploads",
            status=429,
        )


@asynccontextmanager
async def _acquired(semaphore: asyncio.Semaphore, seconds: float, error: RequestError) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            await semaphore.acquire()
    except TimeoutError:
        raise error from None
    try:
        yield
    finally:
        semaphore.release()
