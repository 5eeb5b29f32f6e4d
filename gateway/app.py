"""``python -m gateway.app``: the HTTP server before a TorchServe, or with workers of its own, on Starlette.

======================================  ==============================================================
``POST /predictions/NAME[/VERSION]``    the model: predictions, description, health
``/v2/...``                             the same by the Open Inference Protocol; see ``open_inference/routes.py``
``GET /models``, ``/models/NAME``       which models are served, and what describes one
``GET /metrics``                        Prometheus' format
``GET /ping``                           that a server is there, which says nothing of the model
``GET /healthz``                        204 as long as the gateway stands
``GET /readyz``                         204 once every model, and the page where there is one, answers
======================================  ==============================================================

Everything else is refused, in the model's own form. TorchServe sees no byte of a path, a header or a form that the
gateway has not written itself.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, cast

import typer
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from gateway.access import AccessPolicy
from gateway.cors import Cors
from gateway.http_server import server
from gateway.image_download import ImageDownloads
from gateway.image_urls import UrlPolicy
from gateway.limits import ClientLimits, ServerLimits
from gateway.model_server import ModelServer
from gateway.origins import ALLOW_ORIGINS, IMAGE_ORIGINS, read_origins
from gateway.request_filter import RequestFilter
from gateway.responses import fail, refuse, refuse_route
from gateway.routes import Gateway
from gateway.telemetry import Exporter, MissingTelemetry, exporter
from gateway.tracing import Tracing
from gateway.upstream import Upstream
from gateway.workers.server import WorkerServer
from pointrend.errors import ConfigError, PointRendError, RequestError

GRPC_PORT = "POINTREND_V2_GRPC_PORT"


def build(
    models: ModelServer,
    access: AccessPolicy,
    client_limits: ClientLimits | None = None,
    *,
    page: str | None = None,
    telemetry: Exporter | None = None,
    grpc_address: str | None = None,
    image_origins: str = "",
) -> ASGIApp:
    """The application before whatever runs the models; starts it, and ends it with itself.

    Args:
        models: which runs them.
        access: which names and origins are answered.
        client_limits: what callers may take.
        page: the page's URL, where readiness includes it.
        telemetry: sends spans; closed with the application.
        image_origins: where images may be fetched from, see :data:`gateway.origins.IMAGE_ORIGINS`.
        grpc_address: where the Open Inference Protocol is served by gRPC too, as ``HOST:PORT``.
    """
    limits = client_limits or ClientLimits()
    server_limits = ServerLimits.read()
    downloads = ImageDownloads(UrlPolicy.read(image_origins), server_limits.image_bytes)

    routed = Gateway(models, limits, page, downloads)
    export = telemetry.export if telemetry else None

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(models.close)
            await models.start()
            if grpc_address is not None:
                # grpcio is optional
                from gateway.open_inference.grpc_service import GrpcServer

                rpc = GrpcServer(models, downloads, routed.readiness, grpc_address, limits.buffered_bytes, export)
                await rpc.start()
                stack.push_async_callback(rpc.stop)
            yield
        if telemetry is not None:
            await asyncio.to_thread(telemetry.close)

    app = Starlette(
        routes=routed.routes(),
        exception_handlers={RequestError: refuse, HTTPException: refuse_route, Exception: fail},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    traced = Tracing(RequestFilter(app, access), export)
    return Cors(traced, access.origins) if access.origins else traced


def main(
    torchserve: Annotated[
        Path | None, typer.Option(help="The config.properties that TorchServe was started with.")
    ] = None,
    models: Annotated[
        Path | None, typer.Option(help="Instead of TorchServe: a JSON file of models to run by workers of its own.")
    ] = None,
    engine: Annotated[str | None, typer.Option(help="With --models: what computes the networks.")] = None,
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8080,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Another host name to accept besides loopback names; may be repeated.")
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(
            help="An origin whose pages may call the API (CORS), such as https://example.org; may be repeated. "
            f"{ALLOW_ORIGINS.name} adds more, separated by commas."
        ),
    ] = None,
    proxied: Annotated[bool, typer.Option(help="Trust X-Forwarded-For of a proxy on this machine.")] = False,
    any_host: Annotated[bool, typer.Option(help="Accept any Host: a proxy in front checks a secret.")] = False,
    page: Annotated[str | None, typer.Option(help="The page's URL, for /readyz.")] = None,
    grpc_port: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65535,
            envvar=GRPC_PORT,
            help="The port of the Open Inference Protocol by gRPC; none by default. Needs the extra client.",
        ),
    ] = None,
) -> None:
    """Run the gateway in front of a TorchServe, or with workers of its own, until SIGTERM."""
    if (torchserve is None) == (models is None):
        raise typer.BadParameter("give either --torchserve or --models.")
    hosts = {name.lower() for name in allow_host or ()}
    origins = read_origins([*(allow_origin or ()), ALLOW_ORIGINS.read()])
    access = AccessPolicy(check_names=not any_host, hosts=hosts, origins=origins)
    limits = ClientLimits()
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # it warns of every bad form
    if grpc_port is not None and find_spec("grpc") is None:
        raise ConfigError(f"--grpc-port ({GRPC_PORT}) needs grpcio: pip install 'pointrend-serve[client]'.")
    grpc_address = None if grpc_port is None else f"{host}:{grpc_port}"
    workers: WorkerServer | None = None
    if models is not None:
        logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
        logging.getLogger("httpx").setLevel(logging.WARNING)
        workers = WorkerServer(models, engine)
    app = build(
        workers or Upstream(cast(Path, torchserve), ServerLimits.read().answer_seconds),
        access,
        limits,
        page=page,
        telemetry=_telemetry(),
        grpc_address=grpc_address,
        image_origins=IMAGE_ORIGINS.read(),
    )
    http = server(app, limits, host=host, port=port, proxied=proxied)
    if workers is not None:
        workers.on_failure = partial(setattr, http, "should_exit", True)
    http.run()
    if workers is not None and workers.failure is not None:
        raise ConfigError(workers.failure)


def _telemetry() -> Exporter | None:
    """Where a platform names a collector and the packages for it are missing, requests are answered all the same."""
    try:
        return exporter()
    except MissingTelemetry as error:
        print(f"gateway: {error}", file=sys.stderr, flush=True)
        return None


if __name__ == "__main__":
    try:
        typer.run(main)
    except PointRendError as error:
        raise SystemExit(f"gateway: {error}") from error
