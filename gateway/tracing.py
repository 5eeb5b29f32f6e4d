"""Traces of requests: each has an id that the model's log repeats, and spans where they are exported.

A span is recorded for each request, for each question to TorchServe, and for each stage that the model's
``Server-Timing`` names. Without an exporter, only the ids go on.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pointrend.system.trace_context import TRACEPARENT, TRACESTATE, TraceContext

SERVER, CLIENT, INTERNAL = "server", "client", "internal"
_STAGE = re.compile(r"\s*(?P<name>[a-z_]{1,32});dur=(?P<dur>[0-9]{1,9}(?:\.[0-9]{1,6})?)\s*", re.ASCII)


@dataclass(slots=True)
class Span:
    """One piece of work.

    Attributes:
        name: of the kind of work, the same for many requests.
        kind: :data:`SERVER`, :data:`CLIENT` or :data:`INTERNAL`.
        context: its place in the trace.
        parent: the span that it is a part of, None for a trace's first.
        started: nanoseconds since 1970.
        ended: the same.
        attributes: facts, by OpenTelemetry's names where it has one.
        failed: whether the server is at fault.
    """

    name: str
    kind: str
    context: TraceContext
    parent: TraceContext | None
    started: int = field(default_factory=time.time_ns)
    ended: int = 0
    attributes: dict[str, str | int] = field(default_factory=dict)
    failed: bool = False

    def answered(self, status: int) -> None:
        """Note the status of an answer."""
        self.attributes["http.response.status_code"] = status
        # A caller's fault is no failure of the server, and is one of who asked.
        self.failed = status >= (500 if self.kind == SERVER else 400)


Export = Callable[[Span], None]


@dataclass(frozen=True, slots=True)
class _Current:
    """The span that the running task works for, and who is given those that end."""

    span: Span
    export: Export | None

    def end(self, span: Span, at: int | None = None) -> None:
        span.ended = at or time.time_ns()
        if self.export is not None and span.context.sampled:
            self.export(span)


_current: ContextVar[_Current | None] = ContextVar("current", default=None)


class Tracing:
    """Gives each request a span, that of the caller's trace or a new one.

    Args:
        app: the application.
        export: is given each span that ended; None where none is recorded.
    """

    def __init__(self, app: ASGIApp, export: Export | None = None) -> None:
        self._app = app
        self._export = export

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        parent = TraceContext.parse(headers.getlist(TRACEPARENT), headers.getlist(TRACESTATE))
        method = scope["method"][:20]
        with request_span(method, parent, self._export) as span:
            span.attributes |= {"http.request.method": method, "url.path": scope["path"][:200]}

            async def noting(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.answered(message["status"])
                await send(message)

            try:
                await self._app(scope, receive, noting)
            finally:
                route = scope.get("route")
                if route is not None:
                    span.name = f"{method} {route.path}"
                    span.attributes["http.route"] = route.path


@contextmanager
def request_span(name: str, parent: TraceContext | None, export: Export | None) -> Iterator[Span]:
    """A span around a request while it is being answered.

    Args:
        name: of it.
        parent: the caller's span; without one, a trace begins.
        export: is given this span and those within it.
    """
    context = parent.child() if parent else TraceContext.new(sampled=export is not None)
    span = Span(name, SERVER, context, parent)
    token = _current.set(current := _Current(span, export))
    try:
        yield span
    except BaseException:
        span.failed = True
        raise
    finally:
        _current.reset(token)
        current.end(span)


class UpstreamSpan:
    """A question to TorchServe while it is open.

    Attributes:
        headers: that name the trace to it.
    """

    def __init__(self, current: _Current | None, name: str) -> None:
        self._current = current
        self._span: Span | None = None
        self.headers: Mapping[str, str] = {}
        if current is not None:
            parent = current.span.context
            self._span = Span(name, CLIENT, parent.child(), parent)
            self.headers = self._span.context.headers()

    def answered(self, status: int, headers: Mapping[str, str]) -> None:
        """Note the answer's status, and the stages that it says it took, which ended with it."""
        if self._span is None or self._current is None:
            return
        self._span.answered(status)
        request_id = headers.get("x-request-id")
        if request_id is not None:
            self._span.attributes["pointrend.request_id"] = request_id
        stages = list(_stages(headers.get("server-timing", "")))
        begun = time.time_ns() - sum(length for _, length in stages)
        for name, length in stages:
            context = self._span.context
            stage = Span(name, INTERNAL, context.child(), context, begun)
            self._current.end(stage, begun + length)
            begun += length

    def end(self, *, failed: bool) -> None:
        """The answer has been read, or there is none."""
        if self._span is not None and self._current is not None:
            self._span.failed |= failed
            self._current.end(self._span)


@contextmanager
def upstream_span(name: str) -> Iterator[UpstreamSpan]:
    """A span around a question to TorchServe; of no trace where no request is being answered."""
    span = UpstreamSpan(_current.get(), name)
    try:
        yield span
    except BaseException:
        span.end(failed=True)
        raise
    span.end(failed=False)


def _stages(timing: str) -> Iterator[tuple[str, int]]:
    """Names and nanoseconds of a ``Server-Timing``."""
    for part in timing.split(","):
        match = _STAGE.fullmatch(part)
        if match is not None:
            yield match["name"], int(float(match["dur"]) * 1e6)
