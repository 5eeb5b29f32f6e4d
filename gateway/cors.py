"""CORS: pages of the origins on an allow-list may call the API from a browser, and read its answers.

Other origins get no CORS header. Where no secret is asked for, :mod:`gateway.access` refuses them besides.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from pointrend.structures.options import OPTIONS_HEADER

METHODS = ("GET", "POST")
REQUEST_HEADERS = (
    "Authorization",
    "Content-Type",
    "Inference-Header-Content-Length",
    OPTIONS_HEADER,
    "X-Request-Id",
    "traceparent",
    "tracestate",
)
RESPONSE_HEADERS = (
    "Inference-Header-Content-Length",
    "Retry-After",
    "Server-Timing",
    "X-Client-Request-Id",
    "X-PointRend-Legend",
    "X-Request-Id",
)
PREFLIGHT_SECONDS = 600  # for which a browser remembers what is allowed


class Cors:
    """Adds CORS headers for allowed origins, and answers their preflight requests.

    Args:
        app: the application.
        origins: those allowed, as :func:`gateway.origins.read_origins` returns them.
    """

    def __init__(self, app: ASGIApp, origins: Iterable[str]) -> None:
        self._app = app
        self._origins = frozenset(origins)
        self._allowed = CORSMiddleware(
            app,
            allow_origins=sorted(self._origins),
            allow_methods=METHODS,
            allow_headers=REQUEST_HEADERS,
            expose_headers=RESPONSE_HEADERS,
            max_age=PREFLIGHT_SECONDS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        given = Headers(scope=scope).getlist("origin") if scope["type"] == "http" else []
        is_allowed = len(given) == 1 and given[0] in self._origins
        await (self._allowed if is_allowed else self._app)(scope, receive, send)
