"""A server with one answer, for what a real one cannot be made to say on demand."""

from __future__ import annotations

import http.server
import json
import threading

import pytest


class Canned:
    """An HTTP server that gives its answers in turn, the last one again and again.

    Attributes:
        url: where it listens.
        received: (path, headers, body) of every request.
    """

    def __init__(self):
        self.received = []
        self._answers = []
        self._released = threading.Event()
        canned = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.do_POST()

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                canned.received.append((self.path, dict(self.headers), body))
                status, body, headers = canned._answers[0] if len(canned._answers) == 1 else canned._answers.pop(0)
                if status is None:
                    canned._released.wait(10)
                    return
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                """Stay silent."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def answers(self, *answers):
        """Each is (status, body) or (status, body, headers); a status of None is silence."""
        self._answers = [
            (status, body if isinstance(body, bytes) else json.dumps(body).encode(), headers[0] if headers else {})
            for status, body, *headers in answers
        ]

    def close(self):
        self._released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def canned():
    server = Canned()
    yield server
    server.close()
