"""The gateway's responses: refusals as JSON, and what is streamed from TorchServe."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.refusals import body_of, headers_of, method_not_allowed, not_found
from pointrend.errors import RequestError, ServerError


class Streamed(Response):
    """A response that is sent by a function, which raises before it has sent anything or not at all."""

    def __init__(self, answer: Callable[[Send], Awaitable[None]]) -> None:
        super().__init__()
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        with contextlib.suppress(ClientDisconnect):  # nobody is there to be told
            await self._answer(send)


def refusal(error: RequestError, path: str = "", headers: Mapping[str, str] | None = None) -> Response:
    """An error in the JSON of the API that ``path`` belongs to, with more headers where they are given."""
    return Response(body_of(error, path), error.status, {**headers_of(error), **(headers or {})}, "application/json")


async def refuse(request: Request, error: Exception) -> Response:
    """A :class:`RequestError` that a route raised."""
    assert isinstance(error, RequestError)
    return refusal(error, request.url.path)


async def refuse_route(request: Request, error: Exception) -> Response:
    """Starlette found no route, or none for the method."""
    assert isinstance(error, HTTPException)
    allowed = (error.headers or {}).get("Allow", "")
    return refusal(method_not_allowed(allowed) if error.status_code == 405 else not_found(), request.url.path)


async def fail(request: Request, error: Exception) -> Response:
    """A fault of the gateway's own; uvicorn logs it."""
    return refusal(ServerError("The gateway failed on this request; its log has the details."), request.url.path)
