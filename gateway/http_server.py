"""uvicorn with the gateway's HTTP and its limits."""

from __future__ import annotations

import uvicorn
from starlette.types import ASGIApp

from gateway.http11 import HttpProtocol
from gateway.limits import ClientLimits
from gateway.request_filter import HEAD_BYTES

DRAIN_SECONDS = 10


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
