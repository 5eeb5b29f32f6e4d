"""What is refused before anything is routed: broken HTTP, foreign names, and paths that no route has."""

from __future__ import annotations

import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.access import AccessPolicy
from gateway.refusals import bad_request, not_found
from gateway.responses import refusal
from pointrend.errors import RequestError

HEAD_BYTES = 32 * 2**10  # a request's line and headers
_PATH = re.compile(rb"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._-]+)+|/", re.ASCII)


class RequestFilter:
    """Refuses, before anything is routed, what no route should have to think of.

    Args:
        app: the application.
        access: which names and origins are answered.
    """

    def __init__(self, app: ASGIApp, access: AccessPolicy) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "http":
            try:
                self._check(scope)
            except RequestError as error:
                # The rest of what came may be meant otherwise than it would be read.
                close = {"Connection": "close"} if error.status == 400 else {}
                await refusal(error, scope["path"], close)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        if scope["http_version"] not in ("1.0", "1.1"):
            raise bad_request(f"HTTP/{scope['http_version']} is not supported; HTTP/1.1 is.")
        if "transfer-encoding" in headers and "content-length" in headers:
            raise bad_request("The request gives both Transfer-Encoding and Content-Length: where it ends is unclear.")
        if headers.get("expect", "100-continue").lower() != "100-continue":
            raise bad_request(f"Expect: {headers['expect'][:100]} is not supported; 100-continue is.", 417)
        if len(scope["raw_path"]) + len(scope["query_string"]) > HEAD_BYTES // 4:
            raise bad_request(f"The request's path has more than {HEAD_BYTES // 4} bytes.", 414)
        if sum(len(name) + len(value) for name, value in scope["headers"]) > HEAD_BYTES:
            raise bad_request(f"The request's headers have more than {HEAD_BYTES} bytes.", 431)
        origins = headers.getlist("origin")
        self._access.check(headers.get("host"), ", ".join(origins) if origins else None)
        if not _PATH.fullmatch(scope["raw_path"]):
            raise not_found()
