"""Requests that no well-behaved client sends, with what may answer each of them.

``python -m tests.gateway.oddities PORT [TOKEN]`` sends them to a server on this machine and lists what goes wrong.
"""

from __future__ import annotations

import json
import socket
import sys
from dataclasses import dataclass

from tests.gateway import odd_bodies, odd_heads
from tests.gateway.raw_requests import post

SECONDS = 60


@dataclass(frozen=True)
class Oddity:
    """One request.

    Attributes:
        name: of the case.
        raw: the bytes, with ``@auth@`` where the token's header goes.
        statuses: what is right.
        half_close: whether the sender then says that it is done.
    """

    name: str
    raw: bytes
    statuses: frozenset[int]
    half_close: bool = False


def all_oddities() -> list[Oddity]:
    """Every case."""
    groups = (
        odd_bodies.forms,
        odd_bodies.charsets,
        odd_bodies.boundaries,
        odd_bodies.bodies,
        odd_heads.framing,
        odd_heads.lines,
        odd_heads.headers,
    )
    made = [Oddity(name, raw, frozenset(right)) for group in groups for name, raw, right in group()]
    return made + [Oddity(name, raw, frozenset(right), half_close=True) for name, raw, right in odd_heads.cut()]


def send(port: int, oddity: Oddity, token: str | None = None) -> tuple[int, bytes]:
    """What comes back: the status, 0 for none at all, and the body."""
    auth = f"Authorization: Bearer {token}".encode() if token else b"X-Odd: yes"
    said = b""
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
        try:
            connection.sendall(oddity.raw.replace(b"@auth@", auth))
            if oddity.half_close:
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        try:
            while not _complete(said):
                piece = connection.recv(2**16)
                if not piece:
                    break
                said += piece
        except OSError:
            pass
    while said.startswith(b"HTTP/1.1 100"):
        said = said.partition(b"\r\n\r\n")[2]
    if not said.startswith(b"HTTP/"):
        return (0 if not said else 400), said  # HTTP/0.9 has no status line
    top, _, body = said.partition(b"\r\n\r\n")
    return int(top.split()[1]), body


def _complete(said: bytes) -> bool:
    while said.startswith(b"HTTP/1.1 100"):
        said = said.partition(b"\r\n\r\n")[2]
    top, found, body = said.partition(b"\r\n\r\n")
    if not found:
        return False
    for line in top.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return len(body) >= int(line.partition(b":")[2])
    return False


def fault(oddity: Oddity, status: int, body: bytes) -> str | None:
    """What is wrong with an answer, or None."""
    if status not in oddity.statuses:
        return f"{oddity.name}: {status}, not {sorted(oddity.statuses)}: {body[:150]!r}"
    if not status:
        return None  # and nothing was answered
    try:
        tree = json.loads(body)
    except ValueError:
        return f"{oddity.name}: {status} without JSON: {body[:150]!r}"
    if status >= 400:
        error = tree.get("error", {})
        if not (error.get("code") and str(error.get("message")).endswith(".")):
            return f"{oddity.name}: {status} in another form: {body[:150]!r}"
    return None


def faults(port: int, token: str | None = None) -> list[str]:
    """Send every case, and after each one a request that has to succeed."""
    described = post(b'{"describe": true}', "Content-Type: application/json")
    good = Oddity("a good request right after", described, frozenset({200}))
    found = []
    for oddity in all_oddities():
        for each in (oddity, good):
            wrong = fault(each, *send(port, each, token))
            if wrong:
                found.append(wrong if each is oddity else f"{oddity.name}: {wrong}")
    return found


if __name__ == "__main__":
    given = sys.argv[1:]
    wrong_ones = faults(int(given[0]), *given[1:2])
    print(*wrong_ones, sep="\n")
    print(len(wrong_ones), "of", len(all_oddities()))
