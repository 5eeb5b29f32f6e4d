"""What a server and its workers say to each other over pipes: a head of JSON, and bytes beside it.

::

    4 bytes: length of the head | 4 bytes: length of the body | head, JSON | body

Nothing is unpickled. A worker's first message says ``ready`` or ``failed``; then it answers each request with
``begun``, once it has read it whole, and with the reply.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

_LENGTHS = struct.Struct("!II")
READY, FAILED, BEGUN, REPLY, REQUEST = "ready", "failed", "begun", "reply", "request"


@dataclass(frozen=True, slots=True)
class Message:
    """One message.

    Attributes:
        kind: :data:`READY`, :data:`FAILED`, :data:`BEGUN` or :data:`REPLY` from a worker, :data:`REQUEST` to it.
        head: the rest of what JSON says; the key ``kind`` is taken.
        body: bytes of an image, a form or an answer.
    """

    kind: str
    head: Mapping[str, Any]
    body: bytes = b""

    def pack(self) -> bytes:
        """The bytes before the body.

        >>> Message("ready", {}).pack()[8:]
        b'{"kind": "ready"}'
        """
        head = json.dumps({"kind": self.kind, **self.head}).encode()
        return _LENGTHS.pack(len(head), len(self.body)) + head


def write(stream: BinaryIO, message: Message) -> None:
    """Send a message, and wait until it is on its way."""
    stream.write(message.pack())
    stream.write(message.body)
    stream.flush()


def read(stream: BinaryIO) -> Message:
    """The next message.

    Raises:
        EOFError: the other side closed the pipe, or died.
    """
    head, body = _LENGTHS.unpack(_exactly(stream, _LENGTHS.size))
    return _message(_exactly(stream, head), _exactly(stream, body))


async def write_async(stream: asyncio.StreamWriter, message: Message) -> None:
    """As :func:`write`.

    Raises:
        ConnectionError: the other side is gone.
    """
    stream.write(message.pack())
    stream.write(message.body)
    await stream.drain()


async def read_async(stream: asyncio.StreamReader) -> Message:
    """As :func:`read`.

    Raises:
        EOFError: the other side is gone; :class:`asyncio.IncompleteReadError` is one.
    """
    head, body = _LENGTHS.unpack(await stream.readexactly(_LENGTHS.size))
    return _message(await stream.readexactly(head), await stream.readexactly(body))


def _message(head: bytes, body: bytes) -> Message:
    tree = json.loads(head)
    return Message(tree.pop("kind"), tree, body)


def _exactly(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data
