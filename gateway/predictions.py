"""``POST /predictions/NAME[/VERSION]``: a caller's request in, a clean one for TorchServe out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.datastructures import Headers

from gateway.form_parser import parse
from gateway.forms import BINARY, FORM, JSON, clean, write
from gateway.header_values import Header
from gateway.refusals import not_found
from pointrend.errors import InvalidRequest, RequestError
from pointrend.structures.options import OPTIONS_HEADER

_OPTIONS = OPTIONS_HEADER.lower()
PASSED_HEADERS = ("accept", _OPTIONS, "x-request-id")
"""What of a request's headers concerns the model. Those of a body are written anew; no other goes on."""
_VERSION = re.compile(r"[0-9.]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class CleanRequest:
    """What TorchServe is sent.

    Attributes:
        headers: by name in lower case.
        pieces: of the body.
    """

    headers: dict[str, str]
    pieces: Sequence[bytes | bytearray]


def model_path(model: str, version: str | None) -> str:
    """TorchServe's path to a model.

    Raises:
        RequestError: 404, the version is not one.
    """
    if version is not None and not _VERSION.fullmatch(version):
        raise not_found()
    return f"/predictions/{model}" + (f"/{version}" if version else "")


def check_headers(headers: Headers) -> int | None:
    """Refuse, before its body is read, a request whose headers tell that it cannot be; return its Content-Length.

    Raises:
        RequestError: 400 two types or lengths, 415 a compressed body or another form.
    """
    for name in ("content-type", "content-encoding", *PASSED_HEADERS[1:]):
        if len(headers.getlist(name)) > 1:
            raise InvalidRequest(f"The header {name} is given twice.", field=name)
    for name in PASSED_HEADERS:
        if not headers.get(name, "").isascii():
            code = "invalid_options_header" if name == _OPTIONS else None
            raise InvalidRequest(f"The header {name} has characters outside ASCII.", field=name, code=code)
    encoding = headers.get("content-encoding", "identity").strip()
    if encoding.lower() != "identity":
        raise InvalidRequest(
            f"Content-Encoding {encoding[:100]!r} is not supported; send the body uncompressed.",
            field="Content-Encoding",
            value=encoding[:100],
            code="unsupported_encoding",
            status=415,
        )
    declared = media_type(headers)
    if declared.startswith("multipart/") and declared != FORM:
        raise RequestError(
            f"Content-Type {declared[:100]!r} is not supported: a form is {FORM}.",
            field="Content-Type",
            limit=FORM,
            value=declared[:100],
            code="unsupported_media_type",
            status=415,
        )
    length = headers.get("content-length")
    return None if length is None else int(length)


def media_type(headers: Headers) -> str:
    """The body's type in lower case, without parameters; empty where none is declared."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def cleaned(headers: Headers, body: bytes) -> CleanRequest:
    """Write a request anew.

    Raises:
        InvalidRequest: a form, or the charset of JSON, cannot be understood.
        InvalidOption: a form names an option that is none.
    """
    passed = {name: headers[name] for name in PASSED_HEADERS if name in headers}
    declared = media_type(headers)
    if declared == FORM:
        content_type = Header.parse("Content-Type", headers["content-type"])
        pieces, kind = write(clean(parse(body, content_type)))
        return CleanRequest({**passed, "content-type": kind}, pieces)
    if declared == JSON:
        codec = Header.parse("Content-Type", headers["content-type"]).codec("Content-Type")
        return CleanRequest({**passed, "content-type": JSON}, [body if codec == "utf-8" else _utf8(body, codec)])
    # Whatever else it is declared to be, it is the image: an image's type, none, or what curl says by default
    # (application/x-www-form-urlencoded), which TorchServe would take for a form.
    return CleanRequest({**passed, "content-type": BINARY}, [body])


def _utf8(body: bytes, codec: str) -> bytes:
    try:
        return body.decode(codec).encode()
    except UnicodeError as error:
        raise InvalidRequest(f"The body is not {codec.upper()} text: {error}.", code="invalid_json") from error
