"""Where netty brings no sockets: TorchServe asks for its own token, which the gateway and gRPC clients find."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from pointrend.client import Client
from pointrend.serving import torchserve_settings
from pointrend.serving.gateway_process import Gateway
from pointrend.serving.torchserve import Ports, TorchServe
from tests.ports import free_ports

pytestmark = pytest.mark.server


def test_without_sockets_a_token_keeps_others_out(store: Path, photo: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchserve_settings, "LONGEST_SOCKET_PATH", 0)
    with TorchServe(store, Ports(*free_ports(6)), private=True) as server, Gateway(server, free_ports(1)[0]) as gateway:
        gateway.wait_ready()
        server.wait_ready()
        assert server.url.startswith("http://127.0.0.1:")
        assert httpx.post(f"{server.url}/predictions/pointrend", content=photo, timeout=60).status_code == 400
        assert httpx.get(f"{server.management_url}/models").status_code == 400
        assert httpx.post(f"{gateway.url}/predictions/pointrend", content=photo, timeout=60).status_code == 200
        assert httpx.get(f"{gateway.url}/models").status_code == 200
        assert httpx.get(f"{gateway.url}/readyz", timeout=60).status_code == 204
        with Client(server.rpc_url) as client:
            assert client.segment(photo).width == 451
