"""Names that the tests of nginx share."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from gateway.nginx import Nginx, Upstreams
from pointrend.serving.gateway_process import Gateway
from pointrend.serving.torchserve import TorchServe
from tests.ports import free_ports

SECRET = "correct-horse.battery"
MakeNginx = Callable[..., Nginx]


def upstreams_of(gateway: Gateway, server: TorchServe) -> Upstreams:
    """Those of a gateway and the TorchServe behind it; there is no page."""
    rest, rpc = urlsplit(gateway.url).port, urlsplit(server.rpc_url).port
    assert rest
    assert rpc
    return Upstreams(rest, rpc, free_ports(1)[0])
