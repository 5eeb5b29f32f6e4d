"""Hundreds of requests that no honest client sends: each is refused in our form, and the next good one is answered."""

from __future__ import annotations

import shutil
from urllib.parse import urlsplit

import pytest

from pointrend.serving.gateway_process import Gateway
from pointrend.serving.torchserve import TorchServe
from tests.gateway import oddities
from tests.gateway.served_nginx import SECRET, MakeNginx, upstreams_of

pytestmark = pytest.mark.server


def test_there_are_many_and_all_are_different() -> None:
    cases = oddities.all_oddities()
    assert len({case.raw for case in cases}) > 300
    assert not [case.name for case in cases if any(status >= 500 for status in case.statuses)]


def test_the_gateway(gateway: Gateway) -> None:
    port = urlsplit(gateway.url).port
    assert port
    assert oddities.faults(port) == []


@pytest.mark.nginx
@pytest.mark.skipif(shutil.which("nginx", path="/usr/sbin:/usr/bin") is None, reason="needs Debian's nginx-light")
def test_nginx_before_the_gateway(gateway: Gateway, private_server: TorchServe, make_nginx: MakeNginx) -> None:
    nginx = make_nginx(upstreams_of(gateway, private_server), POINTREND_RATE="100000")
    port = urlsplit(nginx.url).port
    assert port
    assert oddities.faults(port, SECRET) == []
