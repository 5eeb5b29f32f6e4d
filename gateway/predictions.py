"""``POST /predictions/NAME[/VERSION]``: a caller's request in, a clean one for TorchServe out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from starlette.datastructures import Headers

from gateway.form_parser import parse
from gateway.forms import BINARY, FORM, IMAGE_NAMES, JSON, Field, check_names, clean, write
from gateway.header_values import Header
from gateway.image_urls import FIELD as URL_FIELD
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
        image_url: where the image is, if it is not in the body; then ``fields`` are the options.
        fields: of a form, by name.
    """

    headers: dict[str, str]
    pieces: Sequence[bytes | bytearray]
    image_url: str | None = None
    fields: Mapping[str, Field] = field(default_factory=dict)

    def with_image(self, image: bytes) -> CleanRequest:
        """The request for an image that was at ``image_url``."""
        pieces, kind = write({"image": Field(image, BINARY), **self.fields})
        return CleanRequest({**self.headers, "content-type": kind}, pieces)


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
        fields = clean(parse(body, content_type))
        if URL_FIELD in fields:
            given = fields.pop(URL_FIELD)
            return _by_url(passed, _text(given), fields)
        pieces, kind = write(fields)
        return CleanRequest({**passed, "content-type": kind}, pieces)
    if declared == JSON:
        codec = Header.parse("Content-Type", headers["content-type"]).codec("Content-Type")
        text = body if codec == "utf-8" else _utf8(body, codec)
        tree = _parsed(text) if f'"{URL_FIELD}"'.encode() in text else {}
        if URL_FIELD in tree:
            options = {name: value for name, value in tree.items() if name != URL_FIELD}
            check_names(options)
            fields = {name: Field(json.dumps(value).encode(), JSON) for name, value in options.items()}
            return _by_url(passed, tree[URL_FIELD], fields)
        return CleanRequest({**passed, "content-type": JSON}, [text])
    # Whatever else it is declared to be, it is the image: an image's type, none, or what curl says by default
    # (application/x-www-form-urlencoded), which TorchServe would take for a form.
    return CleanRequest({**passed, "content-type": BINARY}, [body])


def _utf8(body: bytes, codec: str) -> bytes:
    try:
        return body.decode(codec).encode()
    except UnicodeError as error:
        raise InvalidRequest(f"The body is not {codec.upper()} text: {error}.", code="invalid_json") from error


def _by_url(passed: Mapping[str, str], url: object, fields: Mapping[str, Field]) -> CleanRequest:
    if any(name in fields for name in IMAGE_NAMES):
        raise InvalidRequest(
            f"The request carries an image and {URL_FIELD}; send one of them.", field=URL_FIELD, code="duplicate_image"
        )
    if not isinstance(url, str) or not url:
        raise InvalidRequest(f"{URL_FIELD} must be a URL, as text.", field=URL_FIELD)
    return CleanRequest(dict(passed), [], url, fields)


def _text(given: Field) -> object:
    text = given.content.decode()  # which it was written from
    return json.loads(text) if given.content_type == JSON else text


def _parsed(text: bytes) -> Mapping[str, object]:
    """The JSON object of a body; none where it is another, which the model refuses."""
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return tree if isinstance(tree, dict) else {}
