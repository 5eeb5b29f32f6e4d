"""nginx itself, before the gateway and a real TorchServe, before a slow server, and before nothing."""

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
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import grpc
import httpx
import pytest

from gateway.grpc_services import TORCHSERVE
from gateway.limits import ServerLimits
from gateway.nginx import Nginx, Upstreams
from pointrend.client import Client
from pointrend.client.grpc_stubs import SERVICE, InferenceStub, PredictionsRequest
from pointrend.errors import ImageTooLarge, InvalidRequest, RequestError
from pointrend.serving.gateway_process import Gateway
from pointrend.serving.torchserve import TorchServe
from tests import open_inference_calls
from tests.gateway.served_nginx import SECRET, MakeNginx, upstreams_of
from tests.ports import free_ports

pytestmark = [
    pytest.mark.nginx,
    pytest.mark.skipif(shutil.which("nginx", path="/usr/sbin:/usr/bin") is None, reason="needs Debian's nginx-light"),
]
BEARER = {"Authorization": f"Bearer {SECRET}"}
PREDICTIONS = "/predictions/pointrend"


@pytest.fixture(scope="module")
def nginx(gateway: Gateway, private_server: TorchServe, make_nginx: MakeNginx) -> Nginx:
    return make_nginx(upstreams_of(gateway, private_server))


@pytest.fixture(scope="module")
def closed(make_nginx: MakeNginx) -> Nginx:
    """With nothing behind it."""
    return make_nginx(Upstreams(*free_ports(3)))


def refusal(answer: httpx.Response, status: int, code: str) -> dict[str, object]:
    """Check that an answer is an error of ours, and return what it says."""
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    error = answer.json()["error"]
    assert (error["code"], error["status"]) == (code, status)
    assert error["message"].endswith(".")
    return dict(error)


@pytest.mark.server
def test_the_secret_opens_the_door(nginx: Nginx, photo: bytes) -> None:
    with Client(nginx.url, token=SECRET) as client:
        assert client.segment(photo).width == 451
        assert client.describe()["licence"]
    answer = httpx.post(f"{nginx.url}{PREDICTIONS}/1.0", content=photo, headers={"Authorization": f"bearer  {SECRET}"})
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
def test_nothing_else_opens_it(closed: Nginx, header: str | None) -> None:
    answer = httpx.post(
        closed.url + PREDICTIONS, content=b"x", headers={} if header is None else {"Authorization": header}
    )
    assert refusal(answer, 401, "invalid_token")["field"] == "token"
    assert answer.headers["www-authenticate"] == "Bearer"


def test_the_client_raises_what_the_door_says(closed: Nginx) -> None:
    with Client(closed.url, token="wrong") as client, pytest.raises(RequestError, match="missing or wrong") as caught:
        client.segment(b"x")
    assert caught.value.status == 401


@pytest.mark.parametrize("path", ["/", "/ping", "/models", "/metrics", "/api-description", "/predictions/", "/-/model"])
def test_other_paths_lead_nowhere(closed: Nginx, path: str) -> None:
    refusal(httpx.get(closed.url + path, headers=BEARER), 404, "not_found")


def test_paths_are_normalised_first(closed: Nginx) -> None:
    port = urlsplit(closed.url).port
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET /predictions/pointrend/../../models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 404")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_other_methods_are_not_allowed(closed: Nginx, method: str) -> None:
    answer = httpx.request(method, closed.url + PREDICTIONS, headers=BEARER)
    refusal(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


@pytest.mark.server
def test_a_photo_that_curl_declares_a_form_is_read(nginx: Nginx, photo: bytes) -> None:
    headers = {**BEARER, "Content-Type": "application/x-www-form-urlencoded"}
    assert httpx.post(nginx.url + PREDICTIONS, content=photo, headers=headers, timeout=60).json()["task"]


def test_the_service_is_that_of_the_client() -> None:
    assert TORCHSERVE.name == SERVICE


@pytest.mark.server
def test_an_unknown_model_is_not_found(nginx: Nginx) -> None:
    refusal(httpx.post(f"{nginx.url}/predictions/other", content=b"x", headers=BEARER), 404, "model_not_found")


@pytest.mark.server
@pytest.mark.parametrize("chunked", [False, True])
def test_a_request_that_is_too_large(nginx: Nginx, chunked: bool) -> None:
    limit = ServerLimits.read().request_bytes
    body = bytes(limit + 1)

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(body), 2**20):
            yield body[start : start + 2**20]

    answer = httpx.post(nginx.url + PREDICTIONS, content=pieces() if chunked else body, headers=BEARER, timeout=60)
    assert refusal(answer, 413, "request_too_large")["limit"] == limit


@pytest.mark.server
def test_what_the_model_refuses_keeps_its_words(nginx: Nginx) -> None:
    with Client(nginx.url, token=SECRET) as client:
        with pytest.raises(ImageTooLarge, match="20971521"):
            client.segment(bytes(20 * 2**20 + 1))
        with pytest.raises(RequestError) as caught:
            client.segment(b"no photo")
    assert (caught.value.status, caught.value.code) == (415, "unsupported_image")


def test_too_many_requests(make_nginx: MakeNginx) -> None:
    nginx = make_nginx(Upstreams(*free_ports(3)), POINTREND_RATE="1")
    with httpx.Client(headers=BEARER) as client:
        answers = [client.post(nginx.url + PREDICTIONS, content=b"x") for _ in range(12)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert refusal(refused[0], 429, "rate_limited")["limit"] == 1
    assert refused[0].headers["retry-after"] == "1"


def test_nothing_behind_the_door(closed: Nginx) -> None:
    answer = httpx.post(closed.url + PREDICTIONS, content=b"x", headers=BEARER)
    refusal(answer, 503, "overloaded")
    assert answer.headers["retry-after"] == "2"
    assert httpx.get(f"{closed.url}/healthz").status_code == 204
    refusal(httpx.get(f"{closed.url}/readyz"), 503, "overloaded")


@pytest.mark.server
def test_readiness_asks_the_model_and_tells_nothing(nginx: Nginx) -> None:
    answer = httpx.get(f"{nginx.url}/readyz", timeout=20)
    assert (answer.status_code, answer.content) == (204, b"")
    assert "server" not in answer.headers or "/" not in answer.headers["server"]


def test_page_and_model_in_one_are_ready_when_both_are(slow: int, make_nginx: MakeNginx) -> None:
    nothing = free_ports(1)[0]
    for rest, status in ((slow, 204), (nothing, 503)):  # the gateway asks the page
        nginx = make_nginx(Upstreams(rest, nothing, nothing), POINTREND_ROLE="all")
        assert httpx.get(f"{nginx.url}/readyz").status_code == status
    alone = make_nginx(Upstreams(nothing, nothing, slow), POINTREND_ROLE="page", POINTREND_SERVER="http://127.0.0.1:9")
    assert httpx.get(f"{alone.url}/readyz").status_code == 204


@pytest.mark.parametrize(
    ("line", "status", "code"),
    [
        (b"nonsense\r\n\r\n", None, "invalid_request"),
        (b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", 400, "invalid_request"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: nonsense\r\n\r\n", 400, "invalid_request"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX Y: z\r\n\r\n", 400, "invalid_request"),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, "path_too_long"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"A" * 70_000 + b"\r\n\r\n", 431, "headers_too_long"),
    ],
    ids=["nonsense", "version", "transfer encoding", "header", "long line", "long header"],
)
def test_no_http(closed: Nginx, line: bytes, status: int | None, code: str) -> None:
    with socket.create_connection(("127.0.0.1", urlsplit(closed.url).port or 0)) as connection:
        connection.sendall(line)
        said = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := connection.recv(4096):
                said += piece
    assert json.loads(said.split(b"\r\n\r\n", 1)[-1])["error"]["code"] == code
    assert status is None or said.startswith(b"HTTP/1.1 %d " % status)


def rpc_code(nginx: Nginx, token: str | None, method: str = "Predictions", body: bytes = b"x") -> grpc.StatusCode:
    """The status that a call comes back with."""
    metadata = [("authorization", f"Bearer {token}")] if token else []
    with grpc.insecure_channel(f"127.0.0.1:{nginx.grpc_port}") as channel:
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
def test_grpc_with_the_secret(nginx: Nginx, photo: bytes) -> None:
    with Client(f"grpc://127.0.0.1:{nginx.grpc_port}", token=SECRET) as client:
        assert client.segment(photo).width == 451
    wrong = Client(f"grpc://127.0.0.1:{nginx.grpc_port}", token="wrong-one")
    with wrong, pytest.raises(InvalidRequest, match="token"):
        wrong.segment(photo)
    assert rpc_code(nginx, None) == grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.server
def test_the_open_inference_protocol_by_grpc_with_the_secret(
    private_server: TorchServe, make_nginx: MakeNginx, photo: bytes
) -> None:
    rest_port, grpc_port = free_ports(2)
    with Gateway(private_server, rest_port, ["--any-host", "--grpc-port", str(grpc_port)]) as gateway:
        gateway.wait_ready()
        both = make_nginx(replace(upstreams_of(gateway, private_server), open_inference=grpc_port))
        alone = make_nginx(Upstreams(rest_port, None, 1, grpc_port), POINTREND_BACKEND="asgi")
        for nginx in (both, alone):
            address = f"127.0.0.1:{nginx.grpc_port}"
            for secret in (None, "wrong-one"):
                assert open_inference_calls.refusal(address, "ServerReady", secret) == grpc.StatusCode.PERMISSION_DENIED
            for name in ("ServerLive", "ServerReady"):
                assert open_inference_calls.refusal(address, name, SECRET) == grpc.StatusCode.OK
            assert open_inference_calls.refusal(address, "ModelMetadata", SECRET) == grpc.StatusCode.INVALID_ARGUMENT
            assert open_inference_calls.instances(address, SECRET, photo)
        assert rpc_code(alone, SECRET) == grpc.StatusCode.UNIMPLEMENTED


def test_grpc_calls_that_stream_never_arrive(closed: Nginx) -> None:
    assert rpc_code(closed, SECRET, "StreamPredictions") == grpc.StatusCode.UNIMPLEMENTED
    assert open_inference_calls.refusal(f"127.0.0.1:{closed.grpc_port}", "ServerLive", SECRET) == (
        grpc.StatusCode.UNIMPLEMENTED
    )


def test_grpc_before_nothing(closed: Nginx) -> None:
    assert rpc_code(closed, SECRET) == grpc.StatusCode.UNAVAILABLE


def test_grpc_that_is_too_large(make_nginx: MakeNginx) -> None:
    server = grpc.server(ThreadPoolExecutor(1), options=[("grpc.max_receive_message_length", -1)])
    answer = grpc.unary_unary_rpc_method_handler(lambda _request, _context: b"")
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, {"Predictions": answer})])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    nginx = make_nginx(Upstreams(1, port, 1))
    limit = ServerLimits.read().request_bytes
    try:
        assert rpc_code(nginx, SECRET, body=bytes(limit - 2**10)) == grpc.StatusCode.OK
        for excess in (1, 2 * limit):
            assert rpc_code(nginx, SECRET, body=bytes(limit + excess)) == grpc.StatusCode.RESOURCE_EXHAUSTED
    finally:
        server.stop(None)


class _Slow(BaseHTTPRequestHandler):
    """A gateway, or a page: tells what it was asked, after two seconds where the path asks so."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.endswith("/slow"):
            time.sleep(2)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{self.path} {self.headers['X-Forwarded-For']} {self.headers['Authorization']}".encode())

    def do_GET(self) -> None:
        self.send_response({"/readyz": 204, "/": 200}.get(self.path, 404))
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        if self.path != "/readyz":
            self.wfile.write(b'{"detail": "Not Found"}')

    def do_HEAD(self) -> None:
        self.do_GET()

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


def test_secrets_stay_outside_and_the_caller_is_named(slow: int, make_nginx: MakeNginx) -> None:
    nginx = make_nginx(Upstreams(slow, *free_ports(2)))
    answer = httpx.post(
        f"{nginx.url}/predictions/any", content=b"x", headers={**BEARER, "X-Forwarded-For": "203.0.113.9"}
    )
    assert answer.text == "/predictions/any 127.0.0.1 None"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("/ping/../predictions/any", "/predictions/any"),
        ("/predictions/any/../../ping", None),
        ("/predictions/%61ny?x=../ping", "/predictions/any"),
        ("//predictions/./any/1.0", "/predictions/any/1.0"),
        ("/predictions/any%2f..%2f..%2fping", None),
        ("/predictions/any%3fx", None),
    ],
)
def test_the_upstream_sees_a_path_that_nginx_has_written(
    slow: int, make_nginx: MakeNginx, written: str, read: str | None
) -> None:
    nginx = make_nginx(Upstreams(slow, *free_ports(2)))
    with socket.create_connection(("127.0.0.1", urlsplit(nginx.url).port or 0)) as connection:
        lines = (f"POST {written} HTTP/1.1", "Host: x", f"Authorization: Bearer {SECRET}", "Content-Length: 0")
        connection.sendall("\r\n".join((*lines, "Connection: close", "", "")).encode())
        said = b""
        while piece := connection.recv(4096):
            said += piece
    if read is None:
        assert said.startswith(b"HTTP/1.1 404")
    else:
        assert f"{read} 127.0.0.1 None".encode() in said


def test_what_the_page_does_not_know_is_told_in_our_form(slow: int, make_nginx: MakeNginx) -> None:
    upstreams = Upstreams(free_ports(1)[0], free_ports(1)[0], slow)
    nginx = make_nginx(upstreams, POINTREND_ROLE="page", POINTREND_SERVER="http://127.0.0.1:9")
    assert httpx.get(f"{nginx.url}/").json() == {"detail": "Not Found"}
    for path in ("/nonsense", "/gradio_api/nonsense"):
        refusal(httpx.get(nginx.url + path), 404, "not_found")


def test_closing_lets_requests_in_flight_finish(slow: int, make_nginx: MakeNginx) -> None:
    nginx = make_nginx(Upstreams(slow, *free_ports(2)))
    answers: list[httpx.Response] = []
    url = f"{nginx.url}/predictions/slow"
    caller = threading.Thread(target=lambda: answers.append(httpx.post(url, content=b"x", headers=BEARER, timeout=30)))
    caller.start()
    time.sleep(0.7)
    nginx.stop()
    caller.join()
    assert answers[0].status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.post(url, content=b"x", headers=BEARER)


def test_closing_waits_for_a_body_that_is_on_its_way(slow: int, make_nginx: MakeNginx) -> None:
    nginx = make_nginx(Upstreams(slow, *free_ports(2)))
    address = ("127.0.0.1", urlsplit(nginx.url).port or 0)
    caller = http.client.HTTPConnection(*address, timeout=30)
    caller.putrequest("POST", "/predictions/any")
    for name, value in {**BEARER, "Content-Length": "2"}.items():
        caller.putheader(name, value)
    caller.endheaders(b"x")
    httpx.get(f"{nginx.url}/healthz")  # answered after nginx has taken the connection that came before
    closing = threading.Thread(target=nginx.stop)
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


def test_without_a_secret_the_page_opens_and_the_api_stays_closed(slow: int, make_nginx: MakeNginx) -> None:
    nginx = make_nginx(Upstreams(slow, slow, slow), POINTREND_ROLE="all", POINTREND_HOST="0.0.0.0", POINTREND_TOKEN="")
    assert httpx.post(f"{nginx.url}/anything", content=b"x").status_code == 200
    refusal(httpx.post(f"{nginx.url}/predictions/any", content=b"x"), 404, "not_found")
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", nginx.grpc_port)) != 0


@pytest.mark.server
def test_the_open_inference_protocol(nginx: Nginx, photo: bytes) -> None:
    for path in ("/v2/health/live", "/v2/health/ready"):
        assert httpx.get(nginx.url + path, timeout=60).json()["live"] is True  # without the secret
    for path in ("/v2", "/v2/models/pointrend", "/v2/models/pointrend/ready"):
        assert httpx.get(nginx.url + path, headers=BEARER, timeout=60).status_code == 200
        answer = httpx.get(nginx.url + path)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert "secret is missing" in answer.json()["error"]
    size = {"binary_data_size": len(photo) + 4}
    inputs = [{"name": "image", "shape": [1], "datatype": "BYTES", "parameters": size}]
    text = json.dumps({"inputs": inputs}).encode()
    answer = httpx.post(
        f"{nginx.url}/v2/models/pointrend/infer",
        content=text + len(photo).to_bytes(4, "little") + photo,
        headers={**BEARER, "Inference-Header-Content-Length": str(len(text))},
        timeout=60,
    )
    assert json.loads(answer.json()["outputs"][0]["data"][0])["image"]["width"] == 451


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/", 404),
        ("GET", "/v2/nothing", 404),
        ("GET", "/v2/health/other", 404),
        ("GET", "/v2/models/a/b", 404),
        ("POST", "/v2/health/live", 405),
        ("GET", "/v2/health/live", 503),
        ("POST", "/v2/models/pointrend/infer", 503),
    ],
)
def test_the_open_inference_protocols_errors(closed: Nginx, method: str, path: str, status: int) -> None:
    answer = httpx.request(method, closed.url + path, headers=BEARER)
    assert answer.status_code == status
    assert isinstance(answer.json()["error"], str)
