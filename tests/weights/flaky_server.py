"""A local HTTP server of one file that fails in the ways that servers and networks fail."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType


@dataclass
class Behaviour:
    """How one request is answered.

    Attributes:
        status: an error's status, answered without the file.
        cut_after: bytes after which the connection is closed.
        stall_after: bytes after which nothing comes any more, until the server ends.
        ranges: whether Range is honoured.
        wrong_range: answer a Range with the file's beginning, and say so.
        body: in place of the file.
        etag: of the file; an If-Range that names another gets the whole.
        length: whether Content-Length is told.
    """

    status: int | None = None
    cut_after: int | None = None
    stall_after: int | None = None
    ranges: bool = True
    wrong_range: bool = False
    body: bytes | None = None
    etag: str | None = '"1"'
    length: bool = True


@dataclass
class FlakyServer:
    """Answers the n-th request by the n-th behaviour; the last one stays."""

    body: bytes
    behaviours: list[Behaviour] = field(default_factory=lambda: [Behaviour()])
    requests: list[dict[str, str]] = field(default_factory=list)

    def __enter__(self) -> FlakyServer:
        self.ended = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self._answer))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.ended.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def starts(self) -> list[int]:
        """At which byte each request asked to begin."""
        return [int(request.get("Range", "bytes=0-")[6:-1]) for request in self.requests]

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        how = self.behaviours[min(len(self.requests), len(self.behaviours) - 1)]
        self.requests.append({**dict(handler.headers.items()), "path": handler.path})
        handler.close_connection = True
        if how.status is not None:
            handler.send_response(how.status)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        body = self.body if how.body is None else how.body
        start = self.starts[-1]
        if not how.ranges or handler.headers.get("If-Range", how.etag) != how.etag:
            start = 0
        if start >= len(body) > 0:
            handler.send_response(416)
            handler.end_headers()
            return
        partial = start > 0
        if how.wrong_range:
            start = 0
        handler.send_response(206 if partial else 200)
        if how.etag:
            handler.send_header("ETag", how.etag)
        if how.length:
            handler.send_header("Content-Length", str(len(body) - start))
        if partial:
            handler.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        handler.end_headers()
        stop = how.cut_after if how.cut_after is not None else how.stall_after
        handler.wfile.write(body[start:] if stop is None else body[start : start + stop])
        handler.wfile.flush()
        if how.stall_after is not None:
            self.ended.wait(60)


def _handler(answer: Callable[[BaseHTTPRequestHandler], None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answer(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
