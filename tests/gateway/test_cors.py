"""CORS: what pages of allowed origins, of others, and programs get."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from gateway.access import AccessPolicy
from gateway.cors import Cors
from gateway.nginx import Upstreams
from gateway.origins import read_origins
from gateway.request_filter import RequestFilter
from pointrend.errors import ConfigError
from tests.gateway.served_nginx import SECRET, MakeNginx
from tests.ports import free_ports

ALLOWED, FOREIGN = "https://notes.example", "https://evil.example"
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-pointrend-options"}


def ask(
    method: str, headers: Mapping[str, str] | None = None, path: str = "/here", *, check_names: bool = True
) -> httpx.Response:
    """An answer of a small application behind the same layers as the gateway's."""

    async def here(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("here", headers={"X-Request-Id": "1"})

    access = AccessPolicy(check_names=check_names, origins={ALLOWED})
    inner = Starlette(routes=[Route("/here", here, methods=["POST"])])
    app = Cors(RequestFilter(inner, access), access.origins)

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, path, headers=headers)

    return anyio.run(send)


def test_an_allowed_origin_reads_the_answer_and_its_headers() -> None:
    answer = ask("POST", {"Origin": ALLOWED})
    assert (answer.status_code, answer.text) == (200, "here")
    assert answer.headers["access-control-allow-origin"] == ALLOWED
    assert "X-Request-Id" in answer.headers["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in answer.headers
    assert "Origin" in answer.headers["vary"]


def test_refusals_are_readable_too() -> None:
    for path, host, status in (("/nothing/../x", "localhost", 404), ("/here", "evil.example", 421)):
        answer = ask("POST", {"Origin": ALLOWED, "Host": host}, path)
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == ALLOWED


def test_a_preflight_is_answered() -> None:
    answer = ask("OPTIONS", {"Origin": ALLOWED, **PREFLIGHT})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ALLOWED
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "X-PointRend-Options" in answer.headers["access-control-allow-headers"]
    refused = ask("OPTIONS", {"Origin": ALLOWED, **PREFLIGHT, "Access-Control-Request-Headers": "x-secret"})
    assert refused.status_code == 400
    refused = ask("OPTIONS", {"Origin": ALLOWED, **PREFLIGHT, "Access-Control-Request-Method": "PUT"})
    assert refused.status_code == 400


@pytest.mark.parametrize("origin", [FOREIGN, "null", f"{ALLOWED}.evil.example", f"{ALLOWED}:443", ALLOWED.upper()])
def test_other_origins_get_no_header(origin: str) -> None:
    for method, more in (("POST", {}), ("OPTIONS", PREFLIGHT)):
        headers = {"Origin": origin, **more}
        refused = ask(method, headers)
        assert refused.status_code == 403
        assert "access-control-allow-origin" not in refused.headers
        # Where a secret is asked for, origins are not looked at; the browser keeps the answer from the page.
        answer = ask(method, headers, check_names=False)
        assert answer.status_code == {"POST": 200, "OPTIONS": 405}[method]
        assert "access-control-allow-origin" not in answer.headers


def test_programs_are_answered_as_ever() -> None:
    answer = ask("POST")
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "text",
    [
        "*",
        "null",
        "https://*.example",
        "https://notes.example/",
        "https://notes.example/path",
        "https://Notes.example",
        "https://notes.example:443",
        "http://notes.example:80",
        "notes.example",
        "ftp://notes.example",
        "https://user@notes.example",
        "https://notes.example https://other.example",
        'https://notes.example";',
    ],
)
def test_origins_are_exact(text: str) -> None:
    with pytest.raises(ConfigError, match="is not an origin"):
        read_origins([text])


@given(st.text())
def test_any_text_is_an_origin_or_refused(text: str) -> None:
    try:
        origins = read_origins([text])
    except ConfigError:
        return
    assert all(origin.startswith(("http://", "https://")) and "*" not in origin for origin in origins)


class _Gateway(BaseHTTPRequestHandler):
    def do_OPTIONS(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        self.do_OPTIONS()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def stand_in() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Gateway) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.nginx
@pytest.mark.skipif(shutil.which("nginx", path="/usr/sbin:/usr/bin") is None, reason="needs Debian's nginx-light")
@pytest.mark.parametrize("path", ["/predictions/pointrend", "/v2/models/pointrend/infer"])
def test_nginx_lets_preflights_through_without_the_secret(stand_in: int, make_nginx: MakeNginx, path: str) -> None:
    nginx = make_nginx(Upstreams(stand_in, *free_ports(2)), POINTREND_ALLOW_ORIGINS=ALLOWED)
    url = nginx.url + path
    assert httpx.options(url, headers={"Origin": ALLOWED, **PREFLIGHT}).status_code == 200
    for origin, told in ((ALLOWED, ALLOWED), (FOREIGN, None), (ALLOWED.upper(), None)):
        refused = httpx.post(url, headers={"Origin": origin})
        assert refused.status_code == 401
        assert refused.headers.get("access-control-allow-origin") == told
    assert httpx.options(url, headers={"Origin": FOREIGN, **PREFLIGHT}).status_code == 401
    assert httpx.post(url, headers={"Origin": ALLOWED, "Authorization": f"Bearer {SECRET}"}).status_code == 200
    rest = httpx.options(f"{nginx.url}/healthz", headers={"Origin": ALLOWED, **PREFLIGHT})
    assert rest.status_code == 405
