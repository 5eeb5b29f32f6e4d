"""A time limit of a whole exchange, for the blocking client over REST.

httpx bounds each read from a socket. A server that sends a byte now and then, or one interim answer after the other,
keeps such a client for ever; asyncio bounds the awaited one. Here every read and write of an exchange is given what is
left of its time.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore
import httpx

_WRITTEN_AT_ONCE = 2**18  # bytes


class Deadline:
    """When the exchange that a thread is in must have ended; threads do not see each other's."""

    def __init__(self) -> None:
        self._local = threading.local()

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Bound what the calling thread reads and writes in here, all of it together."""
        self._local.ends = time.monotonic() + seconds
        try:
            yield
        finally:
            self._local.ends = None

    def left(self, timeout: float | None) -> float | None:
        """Seconds that one read or write may take; 0 or less where the time is over."""
        ends = getattr(self._local, "ends", None)
        if ends is None:
            return timeout
        left: float = ends - time.monotonic()
        return left if timeout is None else min(left, timeout)

    def watch(self, client: httpx.Client) -> None:
        """Let all connections of a client keep to it."""
        for transport in (client._transport, *client._mounts.values()):
            if isinstance(transport, httpx.HTTPTransport):
                # httpcore's pool takes a backend, but httpx offers no way to hand it on.
                transport._pool._network_backend = _Backend(transport._pool._network_backend, self)


class _Backend(httpcore.NetworkBackend):
    def __init__(self, backend: httpcore.NetworkBackend, deadline: Deadline) -> None:
        self._backend = backend
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        stream = self._backend.connect_tcp(host, port, timeout, local_address, socket_options)
        return _Stream(stream, self._deadline)

    def sleep(self, seconds: float) -> None:
        self._backend.sleep(seconds)


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        left = self._deadline.left(timeout)
        if left is not None and left <= 0:
            raise httpcore.ReadTimeout("the exchange took too long")
        return self._stream.read(max_bytes, left)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _WRITTEN_AT_ONCE):
            left = self._deadline.left(timeout)
            if left is not None and left <= 0:
                raise httpcore.WriteTimeout("the exchange took too long")
            self._stream.write(buffer[start : start + _WRITTEN_AT_ONCE], left)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, timeout), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
