"""``python -m gateway.app``: the HTTP server before a TorchServe, as a Starlette application.

======================================  ==============================================================
``POST /predictions/NAME[/VERSION]``    the model: predictions, description, health
``GET /models``, ``/models/NAME``       which models are served, and what TorchServe says of one
``GET /metrics``                        Prometheus' format
``GET /ping``                           TorchServe's own word, which says nothing of the model
``GET /healthz``                        204 as long as the gateway stands
``GET /readyz``                         204 once every model, and the page where there is one, answers
======================================  ==============================================================

Everything else is refused, in the model's own form. TorchServe sees no byte of a path, a header or a form that the
gateway has not written itself.
"""

from __future__ import annotations

import contextlib
import logging
import re
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer
import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.access import AccessPolicy
from gateway.http11 import HttpProtocol
from gateway.limits import ClientLimits, ServerLimits
from gateway.predictions import check_headers, cleaned
from gateway.readiness import Readiness
from gateway.refusals import bad_request, body_of, headers_of, method_not_allowed, not_found
from gateway.uploads import Uploads
from gateway.upstream import INFERENCE, MANAGEMENT, METRICS, TorchServeConfig, Upstream
from gateway.upstream import headers_of as answer_headers
from pointrend.errors import PointRendError, RequestError, ServerError

HEAD_BYTES = 32 * 2**10  # a request's line and headers
DRAIN_SECONDS = 10
_PATH = re.compile(rb"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._-]+)+|/", re.ASCII)
_VERSION = re.compile(r"[0-9.]+", re.ASCII)


def build(
    config: TorchServeConfig,
    access: AccessPolicy,
    client_limits: ClientLimits | None = None,
    *,
    page: str | None = None,
) -> ASGIApp:
    """The application before one TorchServe.

    Args:
        config: TorchServe's.
        access: which names and origins are answered.
        client_limits: what callers may take.
        page: the page's URL, where readiness includes it.
    """
    limits = client_limits or ClientLimits()
    upstream = Upstream(config, ServerLimits.read().answer_seconds)
    gateway = _Gateway(upstream, limits, config, page)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await upstream.close()

    get = ["GET"]
    app = Starlette(
        routes=[
            Route("/predictions/{model}", gateway.predict, methods=["POST"]),
            Route("/predictions/{model}/{version}", gateway.predict, methods=["POST"]),
            Route("/models", gateway.models, methods=get),
            Route("/models/{model}", gateway.models, methods=get),
            Route("/metrics", gateway.metrics, methods=get),
            Route("/ping", gateway.ping, methods=get),
            Route("/healthz", gateway.healthz, methods=get),
            Route("/readyz", gateway.readyz, methods=get),
        ],
        exception_handlers={RequestError: _refuse, HTTPException: _refuse_route, Exception: _fail},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return RequestFilter(app, access)


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
                await _response(error, close)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        if scope["http_version"] not in ("1.0", "1.1"):
            raise bad_request(f"HTTP/{scope['http_version']} is not spoken here; HTTP/1.1 is.")
        if "transfer-encoding" in headers and "content-length" in headers:
            raise bad_request("The request gives both Transfer-Encoding and Content-Length: where it ends is unclear.")
        if headers.get("expect", "100-continue").lower() != "100-continue":
            raise bad_request(f"Expect: {headers['expect'][:100]} cannot be met; 100-continue can.", 417)
        if len(scope["raw_path"]) + len(scope["query_string"]) > HEAD_BYTES // 4:
            raise bad_request(f"The request's path has more than {HEAD_BYTES // 4} bytes.", 414)
        if sum(len(name) + len(value) for name, value in scope["headers"]) > HEAD_BYTES:
            raise bad_request(f"The request's headers have more than {HEAD_BYTES} bytes.", 431)
        origins = headers.getlist("origin")
        self._access.check(headers.get("host"), ", ".join(origins) if origins else None)
        if not _PATH.fullmatch(scope["raw_path"]):
            raise not_found()


class _Gateway:
    """The routes."""

    def __init__(self, upstream: Upstream, limits: ClientLimits, config: TorchServeConfig, page: str | None) -> None:
        self._upstream = upstream
        self._uploads = Uploads(limits, config.request_bytes)
        self._readiness = Readiness(upstream, [config.folder, Path(tempfile.gettempdir())], page)

    async def predict(self, request: Request) -> Response:
        model, version = request.path_params["model"], request.path_params.get("version")
        if version is not None and not _VERSION.fullmatch(version):
            raise not_found()
        path = f"/predictions/{model}" + (f"/{version}" if version else "")
        length = check_headers(request.headers)
        address = request.client.host if request.client else ""

        async def answer(send: Send) -> None:
            async with self._uploads.body(request.receive, address, length) as body:
                asked = cleaned(request.headers, body)
                del body
                await self._pass_on(send, INFERENCE, "POST", path, asked.headers, asked.pieces)

        return _Streamed(answer)

    async def models(self, request: Request) -> Response:
        model = request.path_params.get("model")
        path = f"/models/{model}" if model else "/models"
        if request.url.query == "customized=true":
            path += "?customized=true"  # TorchServe asks the model then
        return self._simple(MANAGEMENT, path)

    async def metrics(self, request: Request) -> Response:
        return self._simple(METRICS, "/metrics")

    async def ping(self, request: Request) -> Response:
        return self._simple(INFERENCE, "/ping")

    async def healthz(self, request: Request) -> Response:
        return Response(status_code=204)

    async def readyz(self, request: Request) -> Response:
        await self._readiness.check()
        return Response(status_code=204)

    def _simple(self, kind: str, path: str) -> Response:
        return _Streamed(lambda send: self._pass_on(send, kind, "GET", path))

    async def _pass_on(
        self,
        send: Send,
        kind: str,
        method: str,
        path: str,
        headers: dict[str, str] | None = None,
        pieces: Sequence[bytes | bytearray] = (),
    ) -> None:
        """Send TorchServe's answer to the caller as it comes."""
        try:
            async with self._upstream.ask(kind, method, path, headers, pieces) as answer:
                start = {"type": "http.response.start", "status": answer.status_code, "headers": answer_headers(answer)}
                await send(start)
                async for piece in answer.aiter_raw():
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except ServerError:
            await self._readiness.check_disk()  # what fails on a full disk should say so
            raise


class _Streamed(Response):
    """A response that is sent by a function, which raises before it has sent anything or not at all."""

    def __init__(self, answer: Callable[[Send], Awaitable[None]]) -> None:
        super().__init__()
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with contextlib.suppress(ClientDisconnect):  # nobody is there to be told
            await self._answer(send)


def _response(error: RequestError, headers: Mapping[str, str] | None = None) -> Response:
    return Response(body_of(error), error.status, {**headers_of(error), **(headers or {})}, "application/json")


async def _refuse(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    return _response(error)


async def _refuse_route(_request: Request, error: Exception) -> Response:
    """Starlette found no route, or none for the method."""
    assert isinstance(error, HTTPException)
    allowed = (error.headers or {}).get("Allow", "")
    return _response(method_not_allowed(allowed) if error.status_code == 405 else not_found())


async def _fail(_request: Request, error: Exception) -> Response:
    """A fault of the gateway's own; uvicorn logs it."""
    return _response(ServerError("The gateway failed on this request; its log has the details."))


def main(
    torchserve: Annotated[Path, typer.Option(help="The config.properties that TorchServe was started with.")],
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8080,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    allow_host: Annotated[
        list[str] | None, typer.Option(help="A name that is answered besides loopback's; may be repeated.")
    ] = None,
    allow_origin: Annotated[
        list[str] | None, typer.Option(help="A site whose pages may ask, such as https://example.org; may be repeated.")
    ] = None,
    proxied: Annotated[
        bool, typer.Option(help="A proxy on this machine stands before it, and names the caller in X-Forwarded-For.")
    ] = False,
    any_host: Annotated[bool, typer.Option(help="Look at no names: what stands before it asks for a secret.")] = False,
    page: Annotated[str | None, typer.Option(help="The page's URL, for /readyz.")] = None,
) -> None:
    """Serve before a TorchServe until SIGTERM."""
    hosts = {name.lower() for name in allow_host or ()}
    access = AccessPolicy(check_names=not any_host, hosts=hosts, origins=set(allow_origin or ()))
    limits = ClientLimits()
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # it warns of every bad form
    app = build(TorchServeConfig.read(torchserve), access, limits, page=page)
    server(app, limits, host=host, port=port, proxied=proxied).run()


def server(
    app: ASGIApp, limits: ClientLimits, *, host: str = "127.0.0.1", port: int, proxied: bool = False
) -> uvicorn.Server:
    """uvicorn with our HTTP, still to be run.

    Args:
        app: the application.
        limits: what callers may take.
        host: the address to listen on.
        port: the port.
        proxied: whether all come through a proxy on this machine, which names them in X-Forwarded-For.
    """
    config = uvicorn.Config(
        app,
        host=host.strip("[]"),
        port=port,
        http=HttpProtocol.bounded(limits, by_address=not proxied),
        ws="none",
        lifespan="on",
        h11_max_incomplete_event_size=HEAD_BYTES,
        timeout_keep_alive=int(limits.idle_seconds),
        timeout_graceful_shutdown=DRAIN_SECONDS,
        server_header=False,
        proxy_headers=proxied,
        forwarded_allow_ips="127.0.0.1,::1",
        log_level="error",
    )
    return uvicorn.Server(config)


if __name__ == "__main__":
    try:
        typer.run(main)
    except PointRendError as error:
        raise SystemExit(f"gateway: {error}") from error
