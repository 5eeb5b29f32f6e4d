"""The fields of a form: checked, and written anew for TorchServe.

netty, which reads forms for TorchServe, fails on much of what a stranger may send, and answers 500. So it only ever
sees the form that is written here: plain names, no parameters, one image.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gateway.form_parser import Part
from gateway.header_values import Header
from gateway.refusals import invalid_form
from pointrend.errors import InvalidOption, InvalidRequest
from pointrend.structures.options import Options

FORM = "multipart/form-data"
JSON = "application/json"
BINARY = "application/octet-stream"
IMAGE_NAMES = ("image", "data", "body")
MAX_FIELD_BYTES = 64 * 2**10
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}", re.ASCII)


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
            f"The form carries {len(images)} images, {' and '.join(map(repr, images[:4]))}; send one per request.",
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


def check_names(names: Iterable[str]) -> None:
    """Refuse names that no field is written with, in the same words as those that are not an option's.

    Raises:
        InvalidOption: a name has other characters than names of options.
    """
    for name in names:
        if not _PLAIN_NAME.fullmatch(name):
            Options.parse({name: None})


def _field(name: str, part: Part) -> Field:
    kind = Header.parse("Content-Type", part.headers.get("content-type") or "text/plain")
    codec = kind.codec(f"Content-Type of the part {name[:100]!r}")
    if kind.value.startswith("multipart/"):
        raise invalid_form(f"The part {name[:100]!r} is itself {kind.value[:100]}; send one part per file.", name[:100])
    if name in IMAGE_NAMES and kind.value != JSON:
        return Field(part.content, BINARY)
    check_names([name])
    if len(part.content) > MAX_FIELD_BYTES:
        raise invalid_form(
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
