"""What HTTP itself can do wrong, in the pieces that go over the wire."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from tests.client.hostile_files import MEBIBYTE
from tests.client.hostile_json import VALID

BAD = "bad_response"


@dataclass(frozen=True)
class HostileWire:
    """An answer as it goes over the wire, in pieces.

    Attributes:
        name: what is wrong with it.
        pieces: what is sent, one after the other; an endless iterator goes on until the client hangs up.
        codes: the error's code is one of these.
        pause: seconds between pieces.
    """

    name: str
    pieces: Callable[[], Iterator[bytes]]
    codes: tuple[str, ...] = (BAD,)
    pause: float = 0.0


def wires() -> Iterator[HostileWire]:
    """What HTTP can do wrong."""
    good = json.dumps(VALID).encode()
    zeros = bytes(64 * MEBIBYTE)

    def whole(head: str, body: bytes = b"") -> Callable[[], Iterator[bytes]]:
        return lambda: iter([f"HTTP/1.1 {head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body])

    for encoding, packed in {
        "gzip": gzip.compress(zeros, 9),
        "deflate": zlib.compress(zeros, 9),
        "br": good,
        "zstd": b"\x28\xb5\x2f\xfd" + bytes(40),
        "gzip, gzip": gzip.compress(gzip.compress(zeros, 9), 9),
        "x-unknown": good,
    }.items():
        yield HostileWire(f"a body in {encoding}", whole(f"200 OK\r\nContent-Encoding: {encoding}", packed))
    yield HostileWire("gzip that is none", whole("200 OK\r\nContent-Encoding: gzip", b"hello"))
    yield HostileWire("gzip that is an answer", whole("200 OK\r\nContent-Encoding: gzip", gzip.compress(good)))
    broken = (BAD, "server_down")

    def declared(length: str) -> Callable[[], Iterator[bytes]]:
        return lambda: iter(
            [f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n".encode() + good]
        )

    yield HostileWire("a body shorter than its length", declared(str(len(good) + 100)), broken)
    yield HostileWire("a body longer than its length", declared(str(len(good) - 100)))
    yield HostileWire("a length of 10**18", declared(str(10**18)), broken)
    yield HostileWire("a length of 500 digits", declared("9" * 500), broken)
    yield HostileWire("a negative length", declared("-1"), broken)
    yield HostileWire("a length that is text", declared("many"), broken)
    yield HostileWire("two lengths", declared("5\r\nContent-Length: 900"), broken)

    def endless(head: bytes, piece: bytes) -> Callable[[], Iterator[bytes]]:
        def pieces() -> Iterator[bytes]:
            yield head
            while True:
                yield piece

        return pieces

    full = (BAD, "timeout")  # whichever is reached first
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    yield HostileWire("chunks without end", endless(chunked, b"10000\r\n" + bytes(65536) + b"\r\n"), full)
    yield HostileWire("a body without length or end", endless(b"HTTP/1.0 200 OK\r\n\r\n", bytes(65536)), full)
    late = ("timeout",)
    yield HostileWire("a body that drips", endless(chunked, b"1\r\n \r\n"), late, 0.05)
    yield HostileWire("headers that drip", endless(b"HTTP/1.1 200 OK\r\n", b"X"), late, 0.05)
    yield HostileWire("a status line that drips", endless(b"HTTP/1.1 2", b"0"), (*late, *broken), 0.05)
    yield HostileWire("continue without end", endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), (*late, *broken), 0.01)
    yield HostileWire("headers without end", endless(b"HTTP/1.1 200 OK\r\n", b"X-A: " + b"a" * 1000 + b"\r\n"), broken)
    yield HostileWire("a chunk's size that is text", lambda: iter([chunked + b"zz\r\n"]), broken)
    yield HostileWire("an enormous chunk", lambda: iter([chunked + b"f" * 15 + b"\r\n" + good]), broken)
    yield HostileWire("no HTTP at all", lambda: iter([b"SSH-2.0-OpenSSH_9.2\r\n"]), broken)
    yield HostileWire("noise", lambda: iter([np.random.default_rng(0).bytes(5000)]), broken)
    yield HostileWire("a closed connection", lambda: iter([b""]), ("server_down",))
    for target in (
        "file:///etc/passwd",
        "//",
        "http://[",
        "http://127.0.0.1:99999/",
        "ftp://x",
        "\xff",
        "http://\u0130",
    ):
        for status in (301, 307, 302):
            yield HostileWire(f"{status} to {target!r}", whole(f"{status} Moved\r\nLocation: {target}"))
    yield HostileWire("300 without a place", whole("300 Choices"))
    for head in ("204 No Content", "206 Partial Content", "299 What", "304 Not Modified", "201 Created"):
        yield HostileWire(f"status {head}", whole(head, b"" if head[:3] in ("204", "304") else good))
    yield HostileWire("status 999 with text", whole("999 What", b"\x1b[2J"))
    yield HostileWire("status 600", whole("600 What"))
    piece = b"10000\r\n" + bytes(65536) + b"\r\n"
    yield HostileWire("an error without end", endless(chunked.replace(b"200 OK", b"500 No"), piece), full)
    message = json.dumps({"message": "\x1b[2J\u202e" + "x" * MEBIBYTE}).encode()
    yield HostileWire("TorchServe's error with escapes", whole("500 No", message))
    yield HostileWire("TorchServe's error is deep", whole("500 No", b"[" * 100_000))
    yield HostileWire(
        "TorchServe's error in UTF-7", whole("500 No\r\nContent-Type: text/html; charset=utf-7", b"+AGE-")
    )
    for value in (
        "\xb2",
        "-5",
        "1e999",
        "9" * 500,
        "nan",
        "inf",
        "1, 2",
        "Mon, 01 Jan 99999 00:00:00 GMT",
        "",
        "\x01",
        "٣",
        "Wed, 32 Feb 2030 99:99:99 GMT",
        "1 Jan 2030 00:00:00 -99999999",
    ):
        wait = whole(f"503 Busy\r\nRetry-After: {value}")
        yield HostileWire(f"Retry-After {value!r:.20}", wait, ("overloaded", BAD, "server_down"))
