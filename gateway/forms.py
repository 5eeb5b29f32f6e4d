"""Forms (``multipart/form-data``): read strictly, and written anew for TorchServe.

netty, which reads forms for TorchServe, fails on much of what a stranger may send, and answers 500. So it only ever
sees the form that is written here: plain names, no parameters, one image.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError

from pointrend.errors import InvalidOption, InvalidRequest
from pointrend.structures.options import Options

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

FORM = "multipart/form-data"
JSON = "application/json"
BINARY = "application/octet-stream"
IMAGE_NAMES = ("image", "data", "body")
MAX_PARTS = 64
MAX_HEADERS = 8
MAX_HEADER_BYTES = 4096
MAX_FIELD_BYTES = 64 * 2**10
CHARSETS = {
    **dict.fromkeys(("utf-8", "utf8", "us-ascii", "ascii"), "utf-8"),
    **dict.fromkeys(("iso-8859-1", "latin1", "latin-1"), "iso-8859-1"),
    "iso-8859-15": "iso-8859-15",
    "windows-1252": "windows-1252",
    "utf-16": "utf-16",
}
"""The charsets that text is read in, by the names that a request may give them."""

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_VALUE = re.compile(
    rf'\s*;\s*(?P<name>{_TOKEN})=(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^\s;"]+))', re.ASCII | re.DOTALL
)
_TYPE = re.compile(rf"\s*(?P<type>{_TOKEN}(?:/{_TOKEN})?)(?P<rest>.*)", re.ASCII | re.DOTALL)
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]", re.ASCII)  # RFC 2046, 5.1.1
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}", re.ASCII)


@dataclass(slots=True)
class Part:
    """One part of a form.

    Attributes:
        headers: values by name in lower case, each name once.
        content: the bytes.
    """

    headers: dict[str, str] = field(default_factory=dict)
    content: bytearray = field(default_factory=bytearray)


@dataclass(frozen=True, slots=True)
class Header:
    """A header such as ``form-data; name="image"``, parted.

    Attributes:
        value: what stands first, in lower case.
        parameters: values by name in lower case.
    """

    value: str
    parameters: Mapping[str, str]

    @classmethod
    def parse(cls, name: str, text: str) -> Header:
        """Part a header strictly.

        Raises:
            InvalidRequest: it does not follow RFC 9110, or names a parameter twice.
        """
        match = _TYPE.fullmatch(text)
        if match is None:
            _refuse(f"The header {name} cannot be read: {text[:100]!r}.", name)
        parameters: dict[str, str] = {}
        rest = match["rest"]
        while rest.strip(" \t;"):
            found = _VALUE.match(rest)
            if found is None:
                _refuse(f"The header {name} cannot be read from {rest.strip()[:100]!r} on.", name)
            key = found["name"].lower()
            if key in parameters:
                _refuse(f"The header {name} gives {key} twice.", name)
            plain = found["plain"]
            parameters[key] = re.sub(r"\\(.)", r"\1", found["quoted"]) if plain is None else plain
            rest = rest[found.end() :]
        return cls(match["type"].lower(), parameters)

    def codec(self, name: str) -> str:
        """Python's name of the charset that the header ``name`` declares; UTF-8 where it declares none.

        Raises:
            InvalidRequest: it is none of :data:`CHARSETS`.
        """
        charset = self.parameters.get("charset", "utf-8")
        if charset.lower() not in CHARSETS:
            _refuse(
                f"{name} declares the charset {charset[:100]!r}, which is not read; send UTF-8.",
                name,
                limit=sorted(CHARSETS),
                value=charset[:100],
                code="unknown_charset",
            )
        return CHARSETS[charset.lower()]


def parse(body: bytes, content_type: Header) -> list[tuple[str, Part]]:
    """Read a form: its parts by name, in order.

    Raises:
        InvalidRequest: it is no form that can be understood; the message names what is wrong.
    """
    content_type.codec("Content-Type")
    boundary = content_type.parameters.get("boundary")
    if boundary is None or not _BOUNDARY.fullmatch(boundary):
        _refuse(
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
        raise InvalidRequest(f"The form cannot be read: {error}.", field="form", code="invalid_form") from error
    if not collected.ended:
        _refuse(f"The form ends without its last boundary, --{boundary}--.", "form")
    delimiter = f"--{boundary}".encode()
    closing = delimiter + b"--"
    # The parser skips what stands around the parts; here nothing is lost silently.
    end = 0 if body.startswith(closing) else body.find(b"\r\n" + closing) + 2
    if not body.lstrip(b"\r\n").startswith(delimiter) or body[end + len(closing) :].strip():
        _refuse("Something stands before the form's first boundary, or after its last.", "form")
    return [(_name(part), part) for part in collected.parts]


@dataclass(frozen=True, slots=True)
class Field:
    """What TorchServe is handed for one name: text in UTF-8, JSON, or an image's bytes."""

    content: bytes | bytearray
    content_type: str | None = None


def clean(parts: Sequence[tuple[str, Part]]) -> dict[str, Field]:
    """Check what the parts of a form say, and join the values of an option that is repeated with commas.

    Raises:
        InvalidRequest: there are two images, or an option is not text that can be read.
        InvalidOption: there is no option of a name.
    """
    images = [name for name, _ in parts if name in IMAGE_NAMES]
    if len(images) > 1:
        raise InvalidRequest(
            f"The form carries {len(images)} images, {' and '.join(map(repr, images[:4]))}; send one a request.",
            field="image",
            limit=1,
            value=len(images),
            code="duplicate_image",
        )
    fields: dict[str, Field] = {}
    for name, part in parts:
        given = _field(name, part)
        if name in fields:
            before = fields[name]
            if JSON in (before.content_type, given.content_type):
                raise InvalidRequest(
                    f"The option {name!r} is repeated, once as JSON; send one list.",
                    field=name,
                    code="duplicate_option",
                )
            given = Field(before.content + b"," + given.content)
        fields[name] = given
    return fields


def write(fields: Mapping[str, Field]) -> tuple[list[bytes | bytearray], str]:
    """A form of plain parts: the pieces of its body, and its content type."""
    boundary = secrets.token_hex(16)
    pieces: list[bytes | bytearray] = []
    for name, each in fields.items():
        # netty keeps the type, and any bytes, of a part with a file name alone; the others are text.
        typed = f'; filename="file"\r\nContent-Type: {each.content_type}' if each.content_type else ""
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{typed}\r\n\r\n'
        pieces += [head.encode(), each.content, b"\r\n"]
    pieces.append(f"--{boundary}--\r\n".encode())
    return pieces, f"{FORM}; boundary={boundary}"


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
            _refuse(f"The form has more than {MAX_PARTS} parts.", "form", limit=MAX_PARTS)
        self.parts.append(Part())

    def _clear(self) -> None:
        self._header.clear()
        self._value.clear()

    def _keep(self) -> None:
        name, value = self._header.decode("latin-1").lower(), self._value.decode("utf-8", "replace").strip()
        if name in self.parts[-1].headers:
            _refuse(f"A part of the form has the header {name[:100]!r} twice.", "form")
        self.parts[-1].headers[name] = value

    def _end(self) -> None:
        self.ended = True


def _name(part: Part) -> str:
    """The name of a part, after what its headers say of its encoding was checked."""
    said = part.headers.get("content-disposition")
    if said is None:
        _refuse("A part of the form has no Content-Disposition, and so no name.", "form")
    disposition = Header.parse("Content-Disposition", said)
    name = disposition.parameters.get("name")
    if disposition.value != "form-data" or not name:
        _refuse(f"A part of the form has no name: Content-Disposition is {said[:100]!r}.", "form", value=said[:100])
    transfer = part.headers.get("content-transfer-encoding", "binary").lower()
    if transfer not in ("binary", "8bit", "7bit"):
        _refuse(
            f"The part {name[:100]!r} has the Content-Transfer-Encoding {transfer[:100]!r}; send it as it is, binary.",
            name[:100],
            limit=["binary", "8bit", "7bit"],
            value=transfer[:100],
        )
    compressed = part.headers.get("content-encoding", "identity").lower()
    if compressed != "identity":
        _refuse(
            f"The part {name[:100]!r} is compressed ({compressed[:100]!r}); send it uncompressed.",
            name[:100],
            value=compressed[:100],
            code="unsupported_encoding",
        )
    return name


def _field(name: str, part: Part) -> Field:
    kind = Header.parse("Content-Type", part.headers.get("content-type") or "text/plain")
    codec = kind.codec(f"Content-Type of the part {name[:100]!r}")
    if kind.value.startswith("multipart/"):
        _refuse(f"The part {name[:100]!r} is itself {kind.value[:100]}; send one part a file.", name[:100])
    if name in IMAGE_NAMES and kind.value != JSON:
        return Field(part.content, BINARY)
    if not _PLAIN_NAME.fullmatch(name):
        Options.parse({name: None})  # no option is called so, which is said in the same words as of any other
    if len(part.content) > MAX_FIELD_BYTES:
        _refuse(
            f"The field {name!r} has {len(part.content)} bytes; at most {MAX_FIELD_BYTES} are read.",
            name,
            limit=MAX_FIELD_BYTES,
            value=len(part.content),
        )
    try:
        text = part.content.decode(codec)
        if kind.value == JSON:
            json.loads(text)
    except UnicodeDecodeError as error:
        raise InvalidOption(f"The field {name!r} is not {codec.upper()} text.", field=name) from error
    except (ValueError, RecursionError) as error:
        said = f"The field {name!r} is not valid JSON: {error}."
        raise InvalidRequest(said, field=name, code="invalid_json") from error
    return Field(text.encode(), JSON if kind.value == JSON else None)


def _refuse(
    message: str, field: str, *, limit: object = None, value: object = None, code: str = "invalid_form"
) -> NoReturn:
    raise InvalidRequest(message, field=field, limit=limit, value=value, code=code)
