"""The gateway before a stand-in for TorchServe that answers, fails and waits as it is told."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from gateway import readiness
from gateway.access import AccessPolicy
from gateway.app import build
from gateway.http_server import server
from gateway.limits import ClientLimits, ServerLimits
from gateway.upstream import Upstream
from pointrend.serving.server_state import READY, RESTARTING, STARTING, ServerState
from tests.ports import free_ports

LARGE = bytes(20 * 2**20)
OWN = json.dumps({"error": {"code": "internal_error", "status": 500, "message": "The model's own words."}}).encode()
ANSWERS = {
    "full": (503, b'{"code": 503, "type": "ServiceUnavailableException", "message": "Model is busy."}'),
    "died": (500, b'{"code": 500, "type": "InternalServerException", "message": "Worker died."}'),
    "killed": (507, b'{"code": 507, "type": "InternalServerException", "message": "Worker died."}'),
    "java": (500, b'{"code": 500, "type": "NullPointerException", "message": "java.lang"}'),
    "large": (413, b""),
    "token": (400, b'{"code": 400, "type": "InvalidKeyException", "message": "Token Authorization failed."}'),
    "unknown": (404, b'{"code": 404, "type": "ModelNotFoundException", "message": "Model not found: x"}'),
    "own": (500, OWN),
    "much": (200, LARGE),
}


class _TorchServe(BaseHTTPRequestHandler):
    """Answers by the model's name; remembers what it was asked."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.server.asked.append((self.command, self.path, dict(self.headers), body))  # type: ignore[attr-defined]
        status, said = ANSWERS.get(self.path.split("/")[-1].partition("?")[0], (200, b"{}"))
        self.send_response(status)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def do_GET(self) -> None:
        self.do_POST()

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class StandIn:
    """The stand-in, and what it was asked: method, path, headers, body."""

    def __init__(self, http: ThreadingHTTPServer, folder: Path) -> None:
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        http.asked = self.asked  # type: ignore[attr-defined]
        self.config = folder / "config.properties"
        address = f"http://127.0.0.1:{http.server_port}"
        lines = [f"{kind}_address={address}" for kind in ("inference", "management", "metrics")]
        lines += ["load_models=pointrend.mar", "max_request_size=29360128", "disable_token_authorization=true"]
        self.config.write_text("\n".join(lines))


def upstream(torchserve: StandIn) -> Upstream:
    return Upstream(torchserve.config, ServerLimits.read().answer_seconds)


@pytest.fixture
def torchserve(tmp_path: Path) -> Iterator[StandIn]:
    http = ThreadingHTTPServer(("127.0.0.1", 0), _TorchServe)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    yield StandIn(http, tmp_path)
    http.shutdown()
    thread.join()
    http.server_close()


Start = Callable[..., int]


@pytest.fixture
def start(torchserve: StandIn) -> Iterator[Start]:
    """Starts gateways with limits of their own, and returns their ports."""
    with ExitStack() as stack:

        def begin(access: AccessPolicy | None = None, *, proxied: bool = False, **limits: float) -> int:
            bounds = ClientLimits(**limits)  # type: ignore[arg-type]
            app = build(upstream(torchserve), access or AccessPolicy(), bounds)
            port = free_ports(1)[0]
            running = server(app, bounds, port=port, proxied=proxied)
            thread = threading.Thread(target=running.run)
            thread.start()

            def stop() -> None:
                running.should_exit = True
                thread.join()

            stack.callback(stop)
            while not running.started:
                time.sleep(0.01)
            return port

        yield begin


def url(port: int, path: str = "/predictions/pointrend") -> str:
    return f"http://127.0.0.1:{port}{path}"


def refusal(answer: httpx.Response, status: int, code: str) -> dict[str, object]:
    """Check that an answer is an error of ours, and return what it says."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json"), answer.text
    error = answer.json()["error"]
    assert (error["code"], error["status"]) == (code, status)
    return dict(error)


@contextlib.contextmanager
def dripping(port: int, path: str = "/predictions/pointrend", address: str = "127.0.0.1") -> Iterator[socket.socket]:
    """A request whose body of 1000 bytes has begun."""
    with socket.socket() as connection:
        connection.bind((address, 0))
        connection.connect(("127.0.0.1", port))
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nx".encode())
        yield connection


def read(connection: socket.socket) -> httpx.Response:
    """What comes back on a connection until it ends."""
    connection.settimeout(60)
    said = b""
    while piece := connection.recv(2**16):
        said += piece
        top, found, body = said.partition(b"\r\n\r\n")
        if found and b"content-length: %d" % len(body) in top:
            break
    top, _, body = said.partition(b"\r\n\r\n")
    fields = dict(line.split(": ", 1) for line in top.decode().split("\r\n")[1:])
    return httpx.Response(int(top.split()[1]), headers=fields, content=body)


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [
        ("full", 503, "overloaded"),
        ("died", 500, "worker_died"),
        ("killed", 500, "worker_died"),
        ("java", 500, "internal_error"),
        ("large", 413, "request_too_large"),
        ("token", 400, "invalid_request"),
        ("unknown", 404, "model_not_found"),
        ("own", 500, "internal_error"),
    ],
)
def test_what_torchserve_says_by_itself_is_told_in_our_form(start: Start, model: str, status: int, code: str) -> None:
    answer = httpx.post(url(start(), f"/predictions/{model}"), content=b"x")
    said = refusal(answer, status, code)
    assert ("java" in str(said["message"])) is False
    assert (model == "own") == (said["message"] == "The model's own words.")
    assert ("retry-after" in answer.headers) == (status == 503)


def test_torchserve_sees_only_what_the_gateway_has_written(start: Start, torchserve: StandIn) -> None:
    given = {
        "Authorization": "Bearer x",
        "Cookie": "a=b",
        "describe": "True",
        "X-Request-Id": "mine",
        "Accept": "image/png",
    }
    httpx.post(url(start(), "/predictions/pointrend/1.0?masks=none"), content=b"x", headers=given)
    method, path, headers, body = torchserve.asked[0]
    assert (method, path, body) == ("POST", "/predictions/pointrend/1.0", b"x")
    assert {name.lower() for name in headers} - {"host", "connection", "user-agent", "accept-encoding"} == {
        "accept",
        "content-length",
        "content-type",
        "traceparent",
        "x-request-id",
    }


@pytest.mark.parametrize("declared", ["application/x-www-form-urlencoded", "image/jpeg", "", "text/plain; charset=x"])
def test_whatever_is_no_form_and_no_json_is_the_image(start: Start, torchserve: StandIn, declared: str) -> None:
    assert httpx.post(url(start()), content=b"a=b&c", headers={"Content-Type": declared}).status_code == 200
    assert torchserve.asked[0][2]["content-type"] == "application/octet-stream"
    assert torchserve.asked[0][3] == b"a=b&c"


def test_a_gateway_before_nothing(tmp_path: Path, start: Start, torchserve: StandIn) -> None:
    lines = torchserve.config.read_text().replace(torchserve.config.read_text().split("\n")[0], "")
    torchserve.config.write_text(f"inference_address=http://127.0.0.1:{free_ports(1)[0]}\n{lines}")
    port = start()
    refusal(httpx.post(url(port), content=b"x"), 503, "overloaded")
    assert httpx.get(url(port, "/healthz")).status_code == 204
    refusal(httpx.get(url(port, "/readyz")), 503, "overloaded")


def test_what_its_launcher_restarts_is_said_to_be_restarting(tmp_path: Path, start: Start, torchserve: StandIn) -> None:
    state = ServerState(torchserve.config.parent)
    state.write(STARTING)
    port = start()
    full = url(port, "/predictions/full")
    refusal(httpx.post(full, content=b"x"), 503, "overloaded")
    state.write(READY)
    refusal(httpx.post(full, content=b"x"), 503, "overloaded")  # it is there, and its queue is full
    state.write(RESTARTING)
    answer = httpx.post(full, content=b"x")
    refusal(answer, 503, "server_restarting")  # its worker is still loading
    assert answer.headers["retry-after"] == "5"
    refusal(httpx.post(url(port, "/predictions/died"), content=b"x"), 500, "worker_died")


def test_what_was_ready_and_is_gone_is_about_to_be_restarted(start: Start, torchserve: StandIn) -> None:
    settings = torchserve.config.read_text().split("\n", 1)[1]
    torchserve.config.write_text(f"inference_address=http://127.0.0.1:{free_ports(1)[0]}\n{settings}")
    state, port = ServerState(torchserve.config.parent), start()
    for said, code in ((STARTING, "overloaded"), (READY, "server_restarting"), (RESTARTING, "server_restarting")):
        state.write(said)
        refusal(httpx.post(url(port), content=b"x"), 503, code)
    refusal(httpx.get(url(port, "/readyz")), 503, "server_restarting")


@pytest.mark.parametrize("path", ["/", "/models/a/b", "/predictions/", "/predictions", "/token", "/docs", "/metrics/"])
def test_other_paths(start: Start, path: str) -> None:
    refusal(httpx.get(url(start(), path)), 404, "not_found")


def test_a_version_is_numbers(start: Start) -> None:
    refusal(httpx.post(url(start(), "/predictions/a/b"), content=b"x"), 404, "not_found")


def test_paths_that_mean_another_one(start: Start, torchserve: StandIn) -> None:
    port = start()
    for path in (
        "/ping/../predictions/x",
        "/predictions/x/..",
        "/predictions//x",
        "/predictions/x%2f..",
        "/./ping",
        "/x;y",
    ):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n".encode())
            refusal(read(connection), 404, "not_found")
    assert torchserve.asked == []


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Host": "127.0.0.1:9999"}, 200, ""),
        ({"Host": "LOCALHOST"}, 200, ""),
        ({"Host": "[::1]:8080"}, 200, ""),
        ({"Host": "127.1.2.3"}, 200, ""),
        ({"Host": "models.lan:8080"}, 200, ""),
        ({"Host": "evil.example"}, 421, "unknown_host"),
        ({"Host": "127.0.0.1.evil.example:8080"}, 421, "unknown_host"),
        ({"Host": "localhost.evil.example"}, 421, "unknown_host"),
        ({"Host": "0.0.0.0:8080"}, 421, "unknown_host"),
        ({"Host": "192.168.0.7"}, 421, "unknown_host"),
        ({"Host": "evil.example", "Origin": "http://evil.example"}, 421, "unknown_host"),
        ({"Host": "localhost:1", "Origin": "http://localhost:1"}, 200, ""),
        ({"Host": "localhost:1", "Origin": "http://localhost:2"}, 403, "foreign_origin"),
        ({"Origin": "https://evil.example"}, 403, "foreign_origin"),
        ({"Origin": "null"}, 403, "foreign_origin"),
        ({"Origin": ""}, 403, "foreign_origin"),
        ({"Origin": "https://notes.example"}, 200, ""),
        ({"Origin": "https://notes.example.evil.example"}, 403, "foreign_origin"),
        ({"Origin": "http://notes.example"}, 403, "foreign_origin"),
    ],
)
def test_names_and_origins(start: Start, torchserve: StandIn, headers: dict[str, str], status: int, code: str) -> None:
    port = start(AccessPolicy(hosts={"models.lan"}, origins={"https://notes.example"}))
    for method, path in (("POST", "/predictions/pointrend"), ("GET", "/models"), ("GET", "/metrics"), ("GET", "/ping")):
        answer = httpx.request(method, url(port, path), headers=headers)
        if status == 200:
            assert answer.status_code == 200
        else:
            refusal(answer, status, code)
    assert len(torchserve.asked) == (4 if status == 200 else 0)


def test_with_a_secret_before_it_names_do_not_matter(start: Start) -> None:
    port = start(AccessPolicy(check_names=False))
    headers = {"Host": "models.example", "Origin": "https://app.example"}
    assert httpx.post(url(port), content=b"x", headers=headers).status_code == 200


def test_a_body_that_drips_is_refused_and_torchserve_never_hears_of_it(start: Start, torchserve: StandIn) -> None:
    for limits in ({"upload_seconds": 0.3}, {"grace_seconds": 0.3}):
        port = start(**limits)
        with dripping(port) as connection:
            assert httpx.post(url(port), content=b"x").status_code == 200
            refusal(read(connection), 408, "upload_too_slow")
    assert [body for *_, body in torchserve.asked] == [b"x", b"x"]


def test_one_address_that_drips_leaves_room_for_others(start: Start) -> None:
    port = start(uploads_per_address=2, wait_seconds=0.2)
    with dripping(port) as first, dripping(port):
        answer = httpx.post(url(port), content=b"x")
        assert refusal(answer, 429, "too_many_uploads")["limit"] == 2
        assert answer.headers["retry-after"] == "1"
        with dripping(port, address="127.0.0.2") as other:
            other.sendall(bytes(999))
            assert read(other).status_code == 200
        first.sendall(bytes(999))
        assert read(first).status_code == 200
        assert httpx.post(url(port), content=b"x").status_code == 200  # its place is free again


def test_all_addresses_together(start: Start) -> None:
    port = start(uploads=1, wait_seconds=0.2)
    with dripping(port), dripping(port, address="127.0.0.2") as other:
        other.sendall(bytes(999))
        refusal(read(other), 503, "overloaded")


def test_a_request_waits_for_its_turn(start: Start) -> None:
    port = start(uploads_per_address=1, wait_seconds=60)
    with dripping(port) as first:
        answers: list[int] = []
        waiting = threading.Thread(
            target=lambda: answers.append(httpx.post(url(port), content=b"x", timeout=60).status_code)
        )
        waiting.start()
        first.sendall(bytes(999))
        assert read(first).status_code == 200
        waiting.join()
    assert answers == [200]


def test_a_proxy_names_the_callers(start: Start) -> None:
    port = start(proxied=True, uploads_per_address=1, wait_seconds=0.2, connections_per_address=1)
    with dripping(port):
        refusal(httpx.post(url(port), content=b"x"), 429, "too_many_uploads")
        others = {"X-Forwarded-For": "203.0.113.9"}
        assert httpx.post(url(port), content=b"x", headers=others).status_code == 200


def test_without_a_proxy_nobody_chooses_an_address(start: Start) -> None:
    port = start(uploads_per_address=1, wait_seconds=0.2)
    with dripping(port):
        others = {"X-Forwarded-For": "203.0.113.9"}
        refusal(httpx.post(url(port), content=b"x", headers=others), 429, "too_many_uploads")


def test_all_bodies_together_fit_into_memory(start: Start) -> None:
    port = start(buffered_bytes=5000)
    refusal(httpx.post(url(port), content=bytes(6000)), 503, "overloaded")
    for _ in range(10):
        assert httpx.post(url(port), content=bytes(3000)).status_code == 200


@pytest.mark.parametrize("chunked", [False, True])
def test_a_request_that_is_too_large(start: Start, chunked: bool) -> None:
    body = bytes(29360129)
    pieces = (body[at : at + 2**20] for at in range(0, len(body), 2**20))
    answer = httpx.post(url(start()), content=pieces if chunked else body, timeout=60)
    assert refusal(answer, 413, "request_too_large")["limit"] == 29360128


def test_too_many_connections(start: Start) -> None:
    port = start(connections_per_address=2)
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(2)]
        refused = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        refusal(read(refused), 429, "rate_limited")
        held[0].sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert held[0].recv(100).startswith(b"HTTP/1.1 204")


def test_headers_that_drip(start: Start) -> None:
    port = start(head_seconds=0.3)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET /healthz HT")
        refusal(read(connection), 408, "upload_too_slow")
    with socket.create_connection(("127.0.0.1", port)) as silent:
        silent.settimeout(60)
        assert silent.recv(100) == b""
    with socket.create_connection(("127.0.0.1", port)) as second:
        second.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /he")
        second.settimeout(60)
        said = b""
        while piece := second.recv(4096):
            said += piece
        assert said.startswith(b"HTTP/1.1 204")


def test_who_does_not_take_the_answer_is_cut_off(start: Start) -> None:
    port = start(read_seconds=0.5)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", port))
        connection.sendall(b"POST /predictions/much HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx")
        connection.settimeout(60)
        time.sleep(2)
        received = 0
        with contextlib.suppress(ConnectionResetError):
            while piece := connection.recv(2**16):
                received += len(piece)
        assert received < len(LARGE)


def test_expect_and_half_a_request(start: Start) -> None:
    port = start()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(
            b"POST /predictions/pointrend HTTP/1.1\r\nHost: localhost\r\n"
            b"Expect: 100-continue\r\nContent-Length: 1\r\n\r\n"
        )
        assert connection.recv(1000).startswith(b"HTTP/1.1 100")
        connection.sendall(b"x")
        assert read(connection).status_code == 200
    with dripping(port) as connection:
        connection.shutdown(socket.SHUT_WR)
        refusal(read(connection), 400, "invalid_request")
    with socket.create_connection(("127.0.0.1", port)) as connection:  # whole, and then nothing more comes
        connection.sendall(b"POST /predictions/pointrend HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx")
        connection.shutdown(socket.SHUT_WR)
        assert read(connection).status_code == 200


def test_who_became_ready_is_not_told_otherwise_for_long(
    tmp_path: Path, torchserve: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure of the start is asked again soon; once it was ready, an answer is kept as long as it is said."""
    monkeypatch.setattr(readiness, "KEPT_SECONDS", 1e6)
    page_port, port = free_ports(2)
    running = server(
        build(upstream(torchserve), AccessPolicy(), ClientLimits(), page=f"http://127.0.0.1:{page_port}/"),
        ClientLimits(),
        port=port,
    )
    thread = threading.Thread(target=running.run)
    thread.start()
    try:
        while not running.started:
            time.sleep(0.01)
        assert httpx.get(url(port, "/readyz"), timeout=30).status_code == 503
        page = HTTPServer(("127.0.0.1", page_port), _Page)
        answering = threading.Thread(target=page.serve_forever, args=(0.05,))
        answering.start()
        while httpx.get(url(port, "/readyz"), timeout=30).status_code != 204:
            time.sleep(0.05)
        page.shutdown()
        answering.join()
        page.server_close()
        assert httpx.get(url(port, "/readyz"), timeout=30).status_code == 204
    finally:
        running.should_exit = True
        thread.join()


class _Page(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_readiness_includes_the_page(tmp_path: Path, torchserve: StandIn) -> None:
    for page, status in ((torchserve.config, 204), (None, 503)):
        lines = torchserve.config.read_text()
        address = lines.split("=")[1].split("\n")[0] if page else f"http://127.0.0.1:{free_ports(1)[0]}"
        bounds = ClientLimits()
        app = build(upstream(torchserve), AccessPolicy(), bounds, page=f"{address}/")
        port = free_ports(1)[0]
        running = server(app, bounds, port=port)
        thread = threading.Thread(target=running.run)
        thread.start()
        try:
            while not running.started:
                time.sleep(0.01)
            assert httpx.get(url(port, "/readyz"), timeout=30).status_code == status
        finally:
            running.should_exit = True
            thread.join()
