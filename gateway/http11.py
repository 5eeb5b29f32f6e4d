"""uvicorn's HTTP/1.1, with our JSON for what is no HTTP, and with time limits for callers that drip or linger.

h11 rather than httptools: it is written to the letter of RFC 9112, refuses what httptools lets pass (white space
before a colon, control characters in headers, several hosts), needs no compiler, and tells what is wrong.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from http import HTTPStatus
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from gateway.limits import ClientLimits
from gateway.refusals import bad_request, body_of, headers_of, overloaded
from pointrend.errors import RequestError

LINGER_SECONDS = 5.0  # to read the rest of what a refused caller still sends: it may not see the answer otherwise


class HttpProtocol(H11Protocol):
    """One connection; a subclass for each server holds its limits, since uvicorn makes the objects."""

    limits: ClassVar[ClientLimits]
    addresses: ClassVar[Counter[str]]
    by_address: ClassVar[bool]

    @classmethod
    def bounded(cls, limits: ClientLimits, *, by_address: bool) -> type[HttpProtocol]:
        """The class for one server; without ``by_address`` all connections come from one proxy."""
        addresses: Counter[str] = Counter()
        return type("BoundedHttpProtocol", (cls,), {"limits": limits, "addresses": addresses, "by_address": by_address})

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self._timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._address = ""
        self._head_arriving = self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Count the connection, and refuse it where there are too many."""
        super().connection_made(transport)
        self._address = self.client[0] if self.client else ""
        self.addresses[self._address] += 1
        if len(self.connections) > self.limits.connections:
            self._refuse(overloaded())
        elif self.by_address and self.addresses[self._address] > self.limits.connections_per_address:
            self._refuse(too_many_connections(self.limits.connections_per_address))
        else:
            self._wait(self.limits.head_seconds, self._no_head)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._wait(None)
        if self._write_timer is not None:
            self._write_timer.cancel()
        self.addresses[self._address] -= 1
        if not self.addresses[self._address]:
            del self.addresses[self._address]
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; a request's head has its time from its first byte."""
        if self._refused:
            return
        begins = self.conn.their_state is h11.IDLE and not self._head_arriving
        if begins:
            self._head_arriving = True
            self._wait(self.limits.head_seconds, self._no_head)
        super().data_received(data)
        if self._head_arriving and self.conn.their_state is not h11.IDLE and not self._refused:
            self._head_arriving = False
            self._wait(None)

    def on_response_complete(self) -> None:
        """Where the body of a refused request still comes, let it come for a while only."""
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY and not self.transport.is_closing():
            self._wait(LINGER_SECONDS, self._lingered)

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn always lets the transport close
        """The caller sends no more: refuse half a request, answer a whole one."""
        answering = self.cycle is not None and not self.cycle.response_complete
        if answering and not self.cycle.more_body:
            self.cycle.keep_alive = False
            return not self.transport.is_closing()
        if answering or self._head_arriving:
            self._refuse(bad_request("The request ended before it was complete."))
        return False

    def pause_writing(self) -> None:
        """The caller does not take its answer: it has to take this much of it in time."""
        super().pause_writing()
        self._write_timer = self.loop.call_later(self.limits.read_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """It does."""
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP; called by uvicorn while it handles h11's error."""
        error = sys.exception()
        hint = error.error_status_hint if isinstance(error, h11.RemoteProtocolError) else 400
        if hint == 431:
            self._refuse(bad_request("The request's line and headers are too long.", 431))
        else:
            self._refuse(bad_request(f"The request is not valid HTTP/1.1: {error}."))

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: a caller may offer another protocol, and is answered in this one."""

    def _lingered(self) -> None:
        if self.conn.their_state is h11.SEND_BODY and self.cycle.response_complete:
            self.transport.close()

    def _no_head(self) -> None:
        if self._head_arriving:
            seconds = self.limits.head_seconds
            self._refuse(bad_request(f"The request's headers did not arrive within {seconds:g} s.", 408))
        else:
            self.transport.close()

    def _refuse(self, error: RequestError) -> None:
        """Answer where nothing has been answered yet; stop reading requests, and close once the caller has read it."""
        if self._refused or self.transport.is_closing():
            return
        self._refused = True
        self._unset_keepalive_if_required()
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):  # an answer is on its way, or was
            self.transport.close()
            return
        body = body_of(error)
        head = [f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}", "content-type: application/json"]
        head += [f"content-length: {len(body)}", "connection: close"]
        head += [f"{name.lower()}: {value}" for name, value in headers_of(error).items()]
        self.transport.write("\r\n".join([*head, "", ""]).encode() + body)
        if self.cycle is not None:
            self.cycle.disconnected = True  # whatever works on it has nobody to answer any more
            self.cycle.message_event.set()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.transport.resume_reading()
        self._wait(LINGER_SECONDS, self.transport.close)

    def _wait(self, seconds: float | None, then: Any = None) -> None:
        """Set the one timer of this connection, or none."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self.loop.call_later(seconds, then)


def too_many_connections(limit: int) -> RequestError:
    """429: one address holds too many connections open."""
    return RequestError(
        f"More than {limit} connections are open from this address; close some, or try again in a moment.",
        limit=limit,
        code="rate_limited",
        status=429,
    )
