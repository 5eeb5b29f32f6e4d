"""Plain HTTP to a service of this machine: over a port, over a socket, and to what is no such service."""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from pointrend.system.http_probe import UNIX, ask
from tests.ports import free_ports


class _Echo(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._say(302 if self.path == "/moved" else 200, b"")

    def do_POST(self) -> None:
        self._say(201, self.rfile.read(int(self.headers["Content-Length"])) + self.headers["Content-Type"].encode())

    def address_string(self) -> str:
        return "a socket has no name"

    def log_message(self, *_: object) -> None:
        pass

    def _say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(params=["port", "socket"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "port":
        tcp = socketserver.TCPServer(("127.0.0.1", 0), _Echo)
        with serving(tcp):
            yield f"http://127.0.0.1:{tcp.server_address[1]}"
    else:
        with serving(socketserver.UnixStreamServer(str(tmp_path / "it.sock"), _Echo)):
            yield f"{UNIX}{tmp_path / 'it.sock'}"


def test_a_question_and_its_answer(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # nothing on this machine is asked for through one
    assert ask(address, "/here", seconds=5) == (200, b"")
    status, body = ask(address, "/here", json_body={"health": True}, seconds=5)
    assert (status, body) == (201, json.dumps({"health": True}).encode() + b"application/json")


def test_a_redirect_is_not_followed(address: str) -> None:
    assert ask(address, "/moved", seconds=5).status == 302


def test_nothing_there_is_an_os_error(tmp_path: Path) -> None:
    for address in (f"http://127.0.0.1:{free_ports(1)[0]}", f"{UNIX}{tmp_path / 'none.sock'}"):
        with pytest.raises(OSError, match=r"refused|No such file"):
            ask(address, "/", seconds=5)


def test_who_says_nothing_or_nothing_sensible_is_an_os_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(TimeoutError):
        ask(f"http://127.0.0.1:{silent.getsockname()[1]}", "/", seconds=0.1)

    class _Babble(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(1000)
            self.request.sendall(b"no HTTP\r\n\r\n")

    server = socketserver.TCPServer(("127.0.0.1", 0), _Babble)
    with serving(server), pytest.raises(OSError, match="does not answer by HTTP"):
        ask(f"http://127.0.0.1:{server.server_address[1]}", "/", seconds=5)
