"""Names that the tests of the door share."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from front.door import Door, Upstreams
from pointrend.processes import free_ports
from pointrend.torchserve import TorchServe

SECRET = "correct-horse.battery"
MakeDoor = Callable[..., Door]


def upstreams_of(server: TorchServe) -> Upstreams:
    rest, rpc = urlsplit(server.url).port, urlsplit(server.rpc_url).port
    assert rest
    assert rpc
    return Upstreams(rest, rpc, free_ports(1)[0])
