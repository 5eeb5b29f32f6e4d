"""HTTP/2 floods against nginx, with a real TorchServe behind: they end there, and it goes on answering.

What each flood is known from stands beside it; ``scripts/sbom/vulnerabilities.yaml`` says what follows for netty.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
from collections.abc import Callable, Iterator
from itertools import repeat

import psutil
import pytest
from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from gateway.grpc_services import TORCHSERVE
from gateway.limits import ServerLimits
from gateway.nginx import Nginx
from pointrend.client import Client
from pointrend.serving.gateway_process import Gateway
from pointrend.serving.torchserve import TorchServe
from tests.gateway.served_nginx import SECRET, MakeNginx, upstreams_of

pytestmark = [
    pytest.mark.nginx,
    pytest.mark.server,
    pytest.mark.skipif(shutil.which("nginx", path="/usr/sbin:/usr/bin") is None, reason="needs Debian's nginx-light"),
]
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
CANCEL = 8
PATIENCE_SECONDS = 15  # beyond what nginx waits for a header
# nginx refuses each stream beyond its number, and the others once their bodies are late; the connection stays.
REFUSED = {"streams"}
STREAMS, FRAMES = 5000, 1_000_000
PIECE = 16_384  # the longest frame


@pytest.fixture(scope="module")
def nginx(gateway: Gateway, private_server: TorchServe, make_nginx: MakeNginx) -> Nginx:
    return make_nginx(upstreams_of(gateway, private_server))


def headers(*more: tuple[str, str]) -> bytes:
    """A call's, with the secret: without it none would get further than a refusal."""
    fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", f"/{TORCHSERVE.name}/Predictions"),
        (":authority", "server"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("authorization", f"Bearer {SECRET}"),
    ]
    return bytes(Encoder().encode([*fields, *more]))


CALL = headers()


def opening(stream: int, *, ends: bool) -> bytes:
    """The frame that opens a stream."""
    frame = HeadersFrame(stream, data=CALL)
    frame.flags.add("END_HEADERS")
    if ends:
        frame.flags.add("END_STREAM")
    return bytes(frame.serialize())


def rapid_resets() -> Iterator[bytes]:
    """Streams opened and cancelled at once (CVE-2023-44487)."""
    for stream in range(1, 2 * STREAMS, 2):
        yield opening(stream, ends=True) + RstStreamFrame(stream, error_code=CANCEL).serialize()


def made_resets() -> Iterator[bytes]:
    """Streams that the server must reset, since their windows are opened too far (CVE-2025-55163)."""
    for stream in range(1, 2 * STREAMS, 2):
        yield opening(stream, ends=False) + 2 * WindowUpdateFrame(stream, window_increment=2**31 - 1).serialize()


def continuations(size: int) -> Iterator[bytes]:
    """A header block without an end (CVE-2026-33871 with empty pieces)."""
    yield HeadersFrame(1, data=CALL).serialize()
    yield from again(ContinuationFrame(1, data=bytes(size)))


def long_header() -> Iterator[bytes]:
    """One header field of 4 MiB, in pieces: a literal with the name "x", its length as HPACK writes it."""
    block = CALL + b"\x00\x01x\x7f\x81\xff\xff\x01" + b"a" * 2**22
    pieces = [block[at : at + PIECE] for at in range(0, len(block), PIECE)]
    yield HeadersFrame(1, data=pieces[0]).serialize()
    yield from (ContinuationFrame(1, data=piece).serialize() for piece in pieces[1:])


def many_headers() -> Iterator[bytes]:
    """A field of the dynamic table, named again and again: small on the wire, large once read."""
    encoder = Encoder()
    block = CALL + bytes(encoder.encode([("x", "a" * 3000)]))
    named = bytes(encoder.encode([("x", "a" * 3000)]))
    yield HeadersFrame(1, data=block).serialize()
    yield from repeat(ContinuationFrame(1, data=named * 4000).serialize(), 100)


def streams() -> Iterator[bytes]:
    """Streams that stay open, more than the server allows at a time (CVE-2026-47244)."""
    return (opening(stream, ends=False) for stream in range(1, 2 * STREAMS, 2))


def empty_pieces() -> Iterator[bytes]:
    """Empty pieces of a body (CVE-2019-9518)."""
    yield opening(1, ends=False)
    yield from again(DataFrame(1))


def again(frame: Frame) -> Iterator[bytes]:
    """The same frame, a million times."""
    return repeat(frame.serialize() * 1000, FRAMES // 1000)


FLOODS: dict[str, Callable[[], Iterator[bytes]]] = {
    "rapid resets": rapid_resets,
    "made resets": made_resets,
    "empty continuations": lambda: continuations(0),
    "continuations": lambda: continuations(64),
    "long header": long_header,
    "many headers": many_headers,
    "streams": streams,
    "empty pieces": empty_pieces,
    "settings": lambda: again(SettingsFrame(settings={SettingsFrame.INITIAL_WINDOW_SIZE: 65_535})),
    "pings": lambda: again(PingFrame(opaque_data=b"12345678")),
    "priorities": lambda: again(PriorityFrame(1, depends_on=3, stream_weight=1)),
}


def is_ended(port: int, flood: Iterator[bytes]) -> bool:
    """Send a flood, read nothing until it is sent, and tell whether the server ended the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS) as connection:
        try:
            connection.sendall(PREFACE + SettingsFrame().serialize())
            for frames in flood:
                connection.sendall(frames)
            while connection.recv(65_536):
                pass
        except TimeoutError:
            return False
        except ConnectionError:
            return True
    return True


def java(server: TorchServe) -> psutil.Process:
    return psutil.Process(server.pid)


@pytest.mark.slow
@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_ends_at_nginx(name: str, nginx: Nginx, private_server: TorchServe, photo: bytes) -> None:
    assert nginx.grpc_port
    process = java(private_server)
    before = process.memory_info().rss
    assert is_ended(nginx.grpc_port, FLOODS[name]()) or name in REFUSED
    with Client(f"grpc://127.0.0.1:{nginx.grpc_port}", token=SECRET) as client:
        assert client.segment(photo).width == 451
    connections = [each for each in process.net_connections("tcp") if each.status == psutil.CONN_ESTABLISHED]
    assert len(connections) <= ServerLimits.read().requests + 10  # the worker's, and the client's of another test
    assert process.memory_info().rss - before < 200 * 2**20


def test_a_connection_that_does_nothing_wrong_stays(nginx: Nginx) -> None:
    """The check tells one from the other."""
    assert nginx.grpc_port
    with socket.create_connection(("127.0.0.1", nginx.grpc_port), timeout=1) as connection:
        connection.sendall(PREFACE + SettingsFrame().serialize() + PingFrame(opaque_data=b"12345678").serialize())
        with contextlib.suppress(TimeoutError):
            while data := connection.recv(4096):
                assert data
            pytest.fail("nginx ended a connection that was in order")
