"""CORS: pages of the origins on an allow-list may call the API from a browser, and read its answers.

Other origins get no CORS header. Where no secret is asked for, :mod:`gateway.access` refuses them besides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from pointrend.errors import ConfigError
from pointrend.structures.options import OPTIONS_HEADER
from pointrend.system.environment import Variable

ALLOW_ORIGINS = Variable(
    "POINTREND_ALLOW_ORIGINS",
    "",
    "Origins whose pages may call the API from a browser (CORS), such as `https://notes.example`, separated by commas.",
)
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
_HOST = r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:]+\])"
_ORIGIN = re.compile(rf"https?://{_HOST}(?::(?!0)[0-9]{{1,5}})?", re.ASCII)
_DEFAULT_PORT = re.compile(r"http://.*:80|https://.*:443", re.ASCII)


def read_origins(texts: Iterable[str]) -> frozenset[str]:
    """Check origins: each exactly as browsers send it.

    >>> sorted(read_origins(["https://notes.example, http://localhost:3000"]))
    ['http://localhost:3000', 'https://notes.example']

    Args:
        texts: origins, or several in one text, separated by commas.

    Raises:
        ConfigError: one is a pattern, ``null``, has a path, or is not written as browsers do.
    """
    origins = {origin for text in texts for part in text.split(",") if (origin := part.strip())}
    for origin in sorted(origins):
        if not _ORIGIN.fullmatch(origin) or _DEFAULT_PORT.fullmatch(origin):
            raise ConfigError(
                f"{origin[:100]!r} is not an origin that can be allowed. Write it exactly as browsers send it: "
                "http:// or https://, the host in lower case, the port unless it is the default one, no path, no *."
            )
    return frozenset(origins)


class Cors:
    """Adds CORS headers for allowed origins, and answers their preflight requests.

    Args:
        app: the application.
        origins: those allowed, as :func:`read_origins` returns them.
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
