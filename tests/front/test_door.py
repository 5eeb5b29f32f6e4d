"""The door with a real nginx, before a real TorchServe and before nothing."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import grpc
import httpx
import pytest
from doors import SECRET, MakeDoor, upstreams_of

import front.door as door_module
from front.door import Door, Limits, Upstreams
from pointrend.client import Client
from pointrend.errors import ImageTooLarge, InvalidRequest, RequestError
from pointrend.grpc_stubs import SERVICE, InferenceStub, PredictionsRequest
from pointrend.processes import free_ports
from pointrend.torchserve import TorchServe

pytestmark = [
    pytest.mark.door,
    pytest.mark.skipif(shutil.which("nginx", path="/usr/sbin:/usr/bin") is None, reason="needs Debian's nginx-light"),
]
BEARER = {"Authorization": f"Bearer {SECRET}"}
PREDICTIONS = "/predictions/pointrend"


@pytest.fixture(scope="module")
def door(served: TorchServe, make_door: MakeDoor) -> Door:
    return make_door(upstreams_of(served))


@pytest.fixture(scope="module")
def closed(make_door: MakeDoor) -> Door:
    """A door with nothing behind it."""
    return make_door(Upstreams(*free_ports(3)))


def refusal(answer: httpx.Response, status: int, code: str) -> dict[str, object]:
    """Check that an answer is an error of ours, and return what it says."""
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    error = answer.json()["error"]
    assert (error["code"], error["status"]) == (code, status)
    assert error["message"].endswith(".")
    return dict(error)


@pytest.mark.server
def test_the_secret_opens_the_door(door: Door, photo: bytes) -> None:
    with Client(door.url, token=SECRET) as client:
        assert client.segment(photo).instances
        assert client.describe()["licence"]
    answer = httpx.post(f"{door.url}{PREDICTIONS}/1.0", content=photo, headers={"Authorization": f"bearer  {SECRET}"})
    assert answer.status_code in (200, 404)  # the scheme's case does not matter; the version may be another


@pytest.mark.parametrize(
    "header",
    [
        "",
        SECRET,
        "Bearer",
        f"Bearer {SECRET}x",
        f"Bearer x{SECRET}",
        f"Basic {SECRET}",
        f"Bearer {SECRET.upper()}",
        f"Bearer {SECRET.replace('.', 'x')}",
        f"Bearer {SECRET} {SECRET}",
    ],
)
def test_nothing_else_opens_it(closed: Door, header: str | None) -> None:
    answer = httpx.post(
        closed.url + PREDICTIONS, content=b"x", headers={} if header is None else {"Authorization": header}
    )
    assert refusal(answer, 401, "invalid_token")["field"] == "token"
    assert answer.headers["www-authenticate"] == "Bearer"


def test_the_client_raises_what_the_door_says(closed: Door) -> None:
    with Client(closed.url, token="wrong") as client, pytest.raises(RequestError, match="missing or wrong") as caught:
        client.segment(b"x")
    assert caught.value.status == 401


@pytest.mark.parametrize("path", ["/", "/ping", "/models", "/metrics", "/api-description", "/predictions/", "/-/model"])
def test_other_paths_lead_nowhere(closed: Door, path: str) -> None:
    refusal(httpx.get(closed.url + path, headers=BEARER), 404, "not_found")


def test_paths_are_normalised_first(closed: Door) -> None:
    port = urlsplit(closed.url).port
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET /predictions/pointrend/../../models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 404")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_other_methods_are_not_allowed(closed: Door, method: str) -> None:
    answer = httpx.request(method, closed.url + PREDICTIONS, headers=BEARER)
    refusal(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


@pytest.mark.server
def test_a_photo_that_curl_declares_a_form_is_read(door: Door, photo: bytes) -> None:
    headers = {**BEARER, "Content-Type": "application/x-www-form-urlencoded"}
    assert httpx.post(door.url + PREDICTIONS, content=photo, headers=headers, timeout=60).json()["instances"]


def test_the_service_is_that_of_the_client() -> None:
    assert door_module.SERVICE == SERVICE


@pytest.mark.server
def test_an_unknown_model_is_not_found(door: Door) -> None:
    refusal(httpx.post(f"{door.url}/predictions/other", content=b"x", headers=BEARER), 404, "model_not_found")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_request_that_is_too_large(closed: Door, served: TorchServe, make_door: MakeDoor, chunked: bool) -> None:
    limit = Limits.of_server().request_bytes
    body = bytes(limit + 1)

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(body), 2**20):
            yield body[start : start + 2**20]

    answer = httpx.post(closed.url + PREDICTIONS, content=pieces() if chunked else body, headers=BEARER, timeout=60)
    assert refusal(answer, 413, "request_too_large")["limit"] == limit


@pytest.mark.server
def test_what_the_model_refuses_keeps_its_words(door: Door) -> None:
    with Client(door.url, token=SECRET) as client:
        with pytest.raises(ImageTooLarge, match="20971521"):
            client.segment(bytes(20 * 2**20 + 1))
        with pytest.raises(RequestError) as caught:
            client.segment(b"no photo")
    assert (caught.value.status, caught.value.code) == (415, "unsupported_image")


def test_too_many_requests(make_door: MakeDoor) -> None:
    door = make_door(Upstreams(*free_ports(3)), POINTREND_RATE="1")
    with httpx.Client(headers=BEARER) as client:
        answers = [client.post(door.url + PREDICTIONS, content=b"x") for _ in range(12)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert refusal(refused[0], 429, "rate_limited")["limit"] == 1
    assert refused[0].headers["retry-after"] == "1"


def test_nothing_behind_the_door(closed: Door) -> None:
    answer = httpx.post(closed.url + PREDICTIONS, content=b"x", headers=BEARER)
    refusal(answer, 503, "overloaded")
    assert answer.headers["retry-after"] == "2"
    assert httpx.get(f"{closed.url}/healthz").status_code == 204
    refusal(httpx.get(f"{closed.url}/readyz"), 503, "overloaded")


@pytest.mark.server
def test_readiness_asks_the_model_and_tells_nothing(door: Door) -> None:
    answer = httpx.get(f"{door.url}/readyz", timeout=20)
    assert (answer.status_code, answer.content) == (204, b"")
    assert "server" not in answer.headers or "/" not in answer.headers["server"]


def test_page_and_model_in_one_are_ready_when_both_are(slow: int, make_door: MakeDoor) -> None:
    nothing = free_ports(1)[0]
    for rest, page, status in ((slow, slow, 204), (slow, nothing, 503), (nothing, slow, 503)):
        door = make_door(Upstreams(rest, nothing, page), POINTREND_ROLE="all")
        assert httpx.get(f"{door.url}/readyz").status_code == status
    alone = make_door(Upstreams(nothing, nothing, slow), POINTREND_ROLE="page", POINTREND_SERVER="http://127.0.0.1:9")
    assert httpx.get(f"{alone.url}/readyz").status_code == 204


def test_no_http(closed: Door) -> None:
    port = urlsplit(closed.url).port
    for line in (b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nX: " + bytes([65]) * 70_000 + b"\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(line)
            said = b""
            with contextlib.suppress(ConnectionResetError):
                while piece := connection.recv(4096):
                    said += piece
        assert json.loads(said.split(b"\r\n\r\n", 1)[-1])["error"]["code"] == "invalid_request"


def rpc_code(door: Door, token: str | None, method: str = "Predictions", body: bytes = b"x") -> grpc.StatusCode:
    """The status that a call comes back with."""
    metadata = [("authorization", f"Bearer {token}")] if token else []
    with grpc.insecure_channel(f"127.0.0.1:{door.grpc_port}") as channel:
        stub = InferenceStub(channel)
        request = PredictionsRequest(model_name="pointrend", input={"data": body})
        try:
            answer = getattr(stub, method)(request, metadata=metadata, timeout=30)
            if method.startswith("Stream"):
                list(answer)
        except grpc.RpcError as error:
            return error.code()
    return grpc.StatusCode.OK


@pytest.mark.server
def test_grpc_with_the_secret(door: Door, served: TorchServe, photo: bytes) -> None:
    with Client(f"grpc://127.0.0.1:{door.grpc_port}", token=SECRET) as client:
        assert client.segment(photo).instances
    wrong = Client(f"grpc://127.0.0.1:{door.grpc_port}", token="wrong-one")
    with wrong, pytest.raises(InvalidRequest, match="token"):
        wrong.segment(photo)
    assert rpc_code(door, None) == grpc.StatusCode.PERMISSION_DENIED


def test_grpc_calls_that_stream_never_arrive(closed: Door) -> None:
    assert rpc_code(closed, SECRET, "StreamPredictions") == grpc.StatusCode.UNIMPLEMENTED


def test_grpc_before_nothing(closed: Door) -> None:
    assert rpc_code(closed, SECRET) == grpc.StatusCode.UNAVAILABLE


def test_grpc_that_is_too_large(make_door: MakeDoor) -> None:
    server = grpc.server(ThreadPoolExecutor(1), options=[("grpc.max_receive_message_length", -1)])
    answer = grpc.unary_unary_rpc_method_handler(lambda _request, _context: b"")
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, {"Predictions": answer})])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    door = make_door(Upstreams(1, port, 1))
    limit = Limits.of_server().request_bytes
    try:
        assert rpc_code(door, SECRET, body=bytes(limit - 2**10)) == grpc.StatusCode.OK
        for excess in (1, 2 * limit):
            assert rpc_code(door, SECRET, body=bytes(limit + excess)) == grpc.StatusCode.RESOURCE_EXHAUSTED
    finally:
        server.stop(None)


class _Slow(BaseHTTPRequestHandler):
    """Answers after two seconds, or with 503 or 507, where the path asks so."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.endswith("/slow"):
            time.sleep(2)
        status = {"/full": 503, "/killed": 507}.get(self.path.removeprefix("/predictions"), 200)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(b"authorization: " + self.headers.get("Authorization", "none").encode())

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def slow() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Slow)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_what_torchserve_says_is_put_into_our_words_and_secrets_stay_outside(slow: int, make_door: MakeDoor) -> None:
    door = make_door(Upstreams(slow, *free_ports(2)))
    refusal(httpx.post(f"{door.url}/predictions/full", content=b"x", headers=BEARER), 503, "overloaded")
    refusal(httpx.post(f"{door.url}/predictions/killed", content=b"x", headers=BEARER), 500, "worker_died")
    answer = httpx.post(f"{door.url}/predictions/any", content=b"x", headers=BEARER)
    assert answer.text == "authorization: none"


def test_closing_lets_requests_in_flight_finish(slow: int, make_door: MakeDoor) -> None:
    door = make_door(Upstreams(slow, *free_ports(2)))
    answers: list[httpx.Response] = []
    url = f"{door.url}/predictions/slow"
    caller = threading.Thread(target=lambda: answers.append(httpx.post(url, content=b"x", headers=BEARER, timeout=30)))
    caller.start()
    time.sleep(0.7)
    door.stop()
    caller.join()
    assert answers[0].status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.post(url, content=b"x", headers=BEARER)


def test_closing_waits_for_a_body_that_is_on_its_way(slow: int, make_door: MakeDoor) -> None:
    door = make_door(Upstreams(slow, *free_ports(2)))
    address = ("127.0.0.1", urlsplit(door.url).port or 0)
    caller = http.client.HTTPConnection(*address, timeout=30)
    caller.putrequest("POST", "/predictions/any")
    for name, value in {**BEARER, "Content-Length": "2"}.items():
        caller.putheader(name, value)
    caller.endheaders(b"x")
    httpx.get(f"{door.url}/healthz")  # answered after the door has taken the connection that came before
    closing = threading.Thread(target=door.stop)
    closing.start()
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(address) != 0:
                break
        time.sleep(0.02)
    caller.send(b"y")
    assert caller.getresponse().status == 200
    caller.close()
    closing.join()


def test_without_a_secret_the_page_opens_and_the_api_stays_closed(slow: int, make_door: MakeDoor) -> None:
    door = make_door(Upstreams(slow, slow, slow), POINTREND_ROLE="all", POINTREND_HOST="0.0.0.0", POINTREND_TOKEN="")
    assert httpx.post(f"{door.url}/anything", content=b"x").status_code == 200
    refusal(httpx.post(f"{door.url}/predictions/any", content=b"x"), 404, "not_found")
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", door.grpc_port)) != 0
