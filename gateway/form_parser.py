"""Forms (``multipart/form-data``), read strictly: their parts, by name."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError

from gateway.header_values import Header
from gateway.refusals import invalid_form

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MAX_PARTS = 64
MAX_HEADERS = 8
MAX_HEADER_BYTES = 4096
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]", re.ASCII)  # RFC 2046, 5.1.1


@dataclass(slots=True)
class Part:
    """One part of a form.

    Attributes:
        headers: values by name in lower case, each name once.
        content: the bytes.
    """

    headers: dict[str, str] = field(default_factory=dict)
    content: bytearray = field(default_factory=bytearray)


def parse(body: bytes, content_type: Header) -> list[tuple[str, Part]]:
    """Read a form: its parts by name, in order.

    Raises:
        InvalidRequest: it is no form that can be understood; the message names what is wrong.
    """
    content_type.codec("Content-Type")
    boundary = content_type.parameters.get("boundary")
    if boundary is None or not _BOUNDARY.fullmatch(boundary):
        raise invalid_form(
            "Content-Type gives no boundary."
            if not boundary
            else f"The boundary {boundary[:100]!r} is not 1 to 70 of the characters that RFC 2046 allows.",
            "Content-Type",
            limit=70,
            value=len(boundary or ""),
        )
    collected = _Collector()
    parser = MultipartParser(
        boundary.encode(), collected.callbacks(), max_header_count=MAX_HEADERS, max_header_size=MAX_HEADER_BYTES
    )
    try:
        parser.write(body)
    except FormParserError as error:
        raise invalid_form(f"The form cannot be read: {error}.", "form") from error
    if not collected.ended:
        raise invalid_form(f"The form ends without its last boundary, --{boundary}--.", "form")
    delimiter = f"--{boundary}".encode()
    closing = delimiter + b"--"
    # The parser skips what stands around the parts; here nothing is lost silently.
    end = 0 if body.startswith(closing) else body.find(b"\r\n" + closing) + 2
    if not body.lstrip(b"\r\n").startswith(delimiter) or body[end + len(closing) :].strip():
        raise invalid_form("There is data before the form's first boundary, or after its last.", "form")
    return [(_name(part), part) for part in collected.parts]


class _Collector:
    """Gathers what the parser calls back with."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.ended = False
        self._header = bytearray()
        self._value = bytearray()

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._begin,
            "on_part_data": lambda data, start, end: self.parts[-1].content.extend(memoryview(data)[start:end]),
            "on_header_begin": self._clear,
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._keep,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        if len(self.parts) == MAX_PARTS:
            raise invalid_form(f"The form has more than {MAX_PARTS} parts.", "form", limit=MAX_PARTS)
        self.parts.append(Part())

    def _clear(self) -> None:
        self._header.clear()
        self._value.clear()

    def _keep(self) -> None:
        name, value = self._header.decode("latin-1").lower(), self._value.decode("utf-8", "replace").strip()
        if name in self.parts[-1].headers:
            raise invalid_form(f"A part of the form has the header {name[:100]!r} twice.", "form")
        self.parts[-1].headers[name] = value

    def _end(self) -> None:
        self.ended = True


def _name(part: Part) -> str:
    """The name of a part, after what its headers say of its encoding was checked."""
    said = part.headers.get("content-disposition")
    if said is None:
        raise invalid_form("A part of the form has no Content-Disposition, and so no name.", "form")
    disposition = Header.parse("Content-Disposition", said)
    name = disposition.parameters.get("name")
    if disposition.value != "form-data" or not name:
        raise invalid_form(
            f"A part of the form has no name: Content-Disposition is {said[:100]!r}.", "form", value=said[:100]
        )
    transfer = part.headers.get("content-transfer-encoding", "binary").lower()
    if transfer not in ("binary", "8bit", "7bit"):
        raise invalid_form(
            f"The part {name[:100]!r} has the Content-Transfer-Encoding {transfer[:100]!r}; send it as it is, binary.",
            name[:100],
            limit=["binary", "8bit", "7bit"],
            value=transfer[:100],
        )
    compressed = part.headers.get("content-encoding", "identity").lower()
    if compressed != "identity":
        raise invalid_form(
            f"The part {name[:100]!r} is compressed ({compressed[:100]!r}); send it uncompressed.",
            name[:100],
            value=compressed[:100],
            code="unsupported_encoding",
        )
    return name
