"""Plain HTTP to a service of this machine, for a launcher that asks now and then: no client library stays in memory."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

UNIX = "unix:"
"""Before the path of a socket, in place of a URL, in an address."""


class Answer(NamedTuple):
    """What came back.

    Attributes:
        status: of HTTP.
        body: its bytes.
    """

    status: int
    body: bytes


def ask(
    address: str,
    path: str,
    *,
    seconds: float,
    json_body: Mapping[str, Any] | None = None,
    method: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send one request, past any proxy, and follow no redirect.

    Args:
        address: ``http://HOST:PORT``, or ``unix:`` and the path of a socket.
        path: that is asked for.
        seconds: that connecting, and each piece of the response, may take.
        json_body: that is sent.
        method: of HTTP; None for POST with a body, and GET without.
        headers: to send beside the body's type.

    Raises:
        OSError: nothing answers there in that time, or not by HTTP.

    Example:
        >>> ask("unix:/run/torchserve/inference.sock", "/ping", seconds=5).status
        200
    """
    if address.startswith(UNIX):
        connection: http.client.HTTPConnection = _SocketConnection(address.removeprefix(UNIX), seconds)
    else:
        parts = urlsplit(address)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=seconds)
    body = None if json_body is None else json.dumps(json_body)
    try:
        kind = {} if body is None else {"Content-Type": "application/json"}
        connection.request(method or ("GET" if body is None else "POST"), path, body, kind | dict(headers or {}))
        with connection.getresponse() as response:
            return Answer(response.status, response.read())
    except http.client.HTTPException as error:
        raise OSError(f"{address} does not answer by HTTP: {error!r}") from error
    finally:
        connection.close()


class _SocketConnection(http.client.HTTPConnection):
    def __init__(self, path: str, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        try:
            self.sock.settimeout(self.timeout)
            self.sock.connect(self._path)
        except OSError:
            self.sock.close()
            raise
