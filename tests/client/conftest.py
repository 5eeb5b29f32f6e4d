"""Servers that fail on demand: one with canned answers, and a real one with tokens and tight limits."""

from __future__ import annotations

import http.server
import json
import threading

import pytest

from pointrend.serving.archive import build
from pointrend.serving.torchserve import Ports, TorchServe
from pointrend.weights.folder import ModelFolder
from tests.ports import free_ports
from tests.workers import wait_for_answer, workers_of


class Canned:
    """An HTTP server that gives its answers in turn, the last one again and again.

    Attributes:
        url: where it listens.
        received: (path, headers, body) of every request.
    """

    def __init__(self):
        self.received: list[tuple[str, dict[str, str], bytes]] = []
        self._answers: list[tuple[int | None, bytes, dict[str, str]]] = []
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
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
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


GUARDED_SETTINGS = {
    "disable_token_authorization": "false",
    "max_request_size": "1000000",
    "job_queue_size": "1",
}


@pytest.fixture(scope="session")
def guarded(tmp_path_factory):
    """A TorchServe that asks for tokens, takes a megabyte a request, and lets one request wait."""
    store = tmp_path_factory.mktemp("guarded-store")
    build(ModelFolder.open("demo"), store)
    with TorchServe(store, Ports(*free_ports(6)), GUARDED_SETTINGS) as server:
        server.wait_ready()
        yield server


@pytest.fixture
def worker(guarded):
    """The process that runs the guarded server's model; awake and answering again when the test ends."""
    wait_for_answer(guarded)
    [process] = workers_of(guarded)
    yield process
    if process.is_running():
        process.resume()
    wait_for_answer(guarded)
