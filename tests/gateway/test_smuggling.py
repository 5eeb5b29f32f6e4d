"""What nginx makes of requests that two readers might read differently, and what reaches TorchServe's own readers."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import grpc
import h11
import httpx
import psutil
import pytest

from gateway.grpc_services import TORCHSERVE
from gateway.nginx import Nginx, Upstreams
from pointrend.client import Client
from pointrend.serving.gateway_process import Gateway
from pointrend.serving.torchserve import TorchServe
from tests.gateway.served_nginx import SECRET, MakeNginx, upstreams_of
from tests.ports import free_ports

pytestmark = [
    pytest.mark.nginx,
    pytest.mark.skipif(shutil.which("nginx", path="/usr/sbin:/usr/bin") is None, reason="needs Debian's nginx-light"),
]
BEARER = {"Authorization": f"Bearer {SECRET}"}
HEAD = f"POST /predictions/pointrend HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET}\r\n"
HIDDEN = b"POST /predictions/hidden HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
CHUNKED = b"1\r\nx\r\n0\r\n\r\n"


class Recorder:
    """Keeps what arrives on a port, and answers each connection with an empty 200."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.received = b""
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed
                return
            with connection:
                connection.settimeout(0.5)
                try:
                    while data := connection.recv(65_536):
                        self.received += data
                except TimeoutError:
                    pass
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    found = Recorder()
    yield found
    found.close()


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        ("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", CHUNKED + HIDDEN),
        ("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", CHUNKED + HIDDEN),
        ("Transfer-Encoding: chunked, xchunked\r\n", CHUNKED + HIDDEN),
        ("Transfer-Encoding: xchunked\r\n", CHUNKED + HIDDEN),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", CHUNKED + HIDDEN),
        ("Transfer-Encoding:\x0bchunked\r\nContent-Length: 0\r\n", HIDDEN),
        ("Transfer-Encoding : chunked\r\nContent-Length: 0\r\n", HIDDEN),
        ("\x01Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", HIDDEN),
        ("Content-Length: 0\r\nContent-Length: 66\r\n", HIDDEN),
        ("Content-Length: +1\r\n", b"x" + HIDDEN),
        ("Transfer-Encoding: chunked\r\n", b'1;a="\r\n' + b'x\r\n0\r\n\r\n"' + HIDDEN),
        ("Transfer-Encoding: chunked\r\n", b"1;a\nx\r\n0\r\n\r\n" + HIDDEN),
        ("Transfer-Encoding: chunked\r\n", b"100000000000000001\r\nx\r\n0\r\n\r\n" + HIDDEN),
        ("Content-Length: 1\r\n", b"x" + b"\x00\x01" + HIDDEN),
    ],
)
def test_an_ambiguous_request_never_becomes_two(
    recorder: Recorder, make_nginx: MakeNginx, fields: str, body: bytes
) -> None:
    """Whatever nginx takes for a request arrives as one whose end is plain; the hidden one has no secret."""
    nginx = make_nginx(Upstreams(recorder.port, *free_ports(2)))
    with socket.create_connection(("127.0.0.1", urlsplit(nginx.url).port or 0), timeout=10) as connection:
        connection.sendall((HEAD + fields + "\r\n").encode("latin-1") + body)
        said = connection.recv(65_536)
    assert said.startswith(b"HTTP/1.1 ")
    targets, rest = requests_in(recorder.received)
    assert targets in ([], [b"/predictions/pointrend"])
    assert rest == b""


def requests_in(received: bytes) -> tuple[list[bytes], bytes]:
    """The paths of the requests that a strict reader finds in what arrived, and what it leaves unread.

    A body that never ended, since nginx refused the rest of it, is no request.
    """
    if not received:
        return [], b""
    reader = h11.Connection(h11.SERVER)
    reader.receive_data(received)
    targets = []
    while (event := reader.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
        if isinstance(event, h11.Request):
            targets.append(event.target)
            lengths = [name for name, _ in event.headers if name in (b"content-length", b"transfer-encoding")]
            assert len(lengths) <= 1
    return targets, b"" if event is h11.NEED_DATA else reader.trailing_data[0]


def test_a_plain_request_arrives(recorder: Recorder, make_nginx: MakeNginx) -> None:
    """The recorder hears what it should."""
    nginx = make_nginx(Upstreams(recorder.port, *free_ports(2)))
    assert httpx.post(f"{nginx.url}/predictions/pointrend", content=b"abc", headers=BEARER).status_code == 200
    assert recorder.received.endswith(b"\r\n\r\nabc")


@pytest.fixture(scope="module")
def nginx(gateway: Gateway, private_server: TorchServe, make_nginx: MakeNginx) -> Nginx:
    return make_nginx(upstreams_of(gateway, private_server))


def many_fields(kind: str) -> tuple[str, bytes]:
    """The content type and the body of a form of 200,000 fields, within the size that a request may have."""
    if kind == "urlencoded":
        return "application/x-www-form-urlencoded", b"&".join(b"f%d=" % number for number in range(200_000))
    part = b'--b\r\nContent-Disposition: form-data; name="f%d"\r\n\r\nx\r\n'
    return "multipart/form-data; boundary=b", b"".join(part % number for number in range(200_000)) + b"--b--\r\n"


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["urlencoded", "multipart", "endless field"])
def test_forms_of_very_many_fields_leave_the_server_answering(
    kind: str, nginx: Nginx, private_server: TorchServe, photo: bytes
) -> None:
    """CVE-2024-29025: netty's decoder keeps every field; the gateway reads forms itself, and refuses such ones."""
    content_type, body = many_fields(kind) if kind != "endless field" else many_fields("multipart")
    if kind == "endless field":
        content_type, body = "multipart/form-data; boundary=b", body[:60] + bytes(20 * 2**20)
    for _ in range(3):
        answer = httpx.post(
            f"{nginx.url}/predictions/pointrend",
            content=body,
            headers={**BEARER, "Content-Type": content_type},
            timeout=120,
        )
        assert answer.status_code in (400, 413, 415, 422)
        assert answer.json()["error"]["message"]
    java = psutil.Process(private_server.pid)
    with Client(nginx.url, token=SECRET) as client:
        assert client.segment(photo).width == 451
    assert java.is_running()


@pytest.mark.server
def test_deeply_nested_protobuf_fails_alone(nginx: Nginx, photo: bytes) -> None:
    """CVE-2024-7254: groups within groups of an unknown field, as deep as a stack."""
    depth = 200_000
    nested = b"\xa3\x06" * depth + b"\xa4\x06" * depth  # field 100 begins, field 100 ends
    with grpc.insecure_channel(f"127.0.0.1:{nginx.grpc_port}") as channel:
        call = channel.unary_unary(f"/{TORCHSERVE.name}/Predictions")
        with pytest.raises(grpc.RpcError) as caught:
            call(nested, metadata=[("authorization", f"Bearer {SECRET}")], timeout=60)
    assert caught.value.code() != grpc.StatusCode.OK
    with Client(f"grpc://127.0.0.1:{nginx.grpc_port}", token=SECRET) as client:
        assert client.segment(photo).width == 451
