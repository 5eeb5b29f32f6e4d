"""Servers that speak to anybody who connects as they please: over raw sockets, and over gRPC."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc

from pointrend.client.grpc_stubs import SERVICE, PredictionsRequest


class HostileServer:
    """Answers every request with the same pieces.

    Attributes:
        url: where it listens.
        pieces: a function that gives what is sent.
        pause: seconds between pieces.
        received: the head of every request.
    """

    def __init__(self) -> None:
        self.pieces: Callable[[], Iterator[bytes]] = lambda: iter(())
        self.pause = 0.0
        self.received: list[bytes] = []
        self._closed = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def says(self, status: int, body: bytes) -> None:
        """Answer with a whole body."""
        head = f"HTTP/1.1 {status} Said\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        self.pieces, self.pause = lambda: iter([head, body]), 0.0

    def close(self) -> None:
        self._closed.set()
        self._listening.close()

    def _serve(self) -> None:
        while not self._closed.is_set():
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            try:
                self.received.append(_read_request(connection))
                for piece in self.pieces():
                    connection.sendall(piece)
                    if self._closed.wait(self.pause):
                        return
            except OSError:
                return  # the client hung up, which is what it should do


def _read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            raise OSError("no request")
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    left = int(length[1]) - len(body) if length else 0
    while left > 0:
        left -= len(connection.recv(65536))
    return head


class HostileRpc:
    """Answers ``Predictions`` with any message, or a status.

    Attributes:
        url: where it listens.
        message: the serialized answer.
        abort: (status, details) to end with instead.
    """

    def __init__(self, compression: grpc.Compression = grpc.Compression.NoCompression) -> None:
        self.message = b""
        self.abort = None
        self._server = grpc.server(
            ThreadPoolExecutor(4), options=[("grpc.max_send_message_length", -1)], compression=compression
        )
        handler = grpc.unary_unary_rpc_method_handler(
            self._answer, request_deserializer=PredictionsRequest.FromString, response_serializer=bytes
        )
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(SERVICE, {"Predictions": handler}),)
        )
        self.url = f"grpc://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def says(self, body: bytes) -> None:
        """Answer with a body."""
        self.abort, self.message = None, b"".join(_field_one(body))

    def close(self) -> None:
        self._server.stop(None)

    def _answer(self, _request, context):
        if self.abort is not None:
            context.abort(*self.abort)
        return self.message


def _field_one(body: bytes) -> Iterator[bytes]:
    """``bytes prediction = 1`` by protobuf's wire format: a tag, a length in groups of seven bits, the bytes."""
    yield b"\x0a"
    length = len(body)
    while length > 127:
        yield bytes([length & 127 | 128])
        length >>= 7
    yield bytes([length])
    yield body
