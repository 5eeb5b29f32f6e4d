"""One request, read as an image and its options.

Three forms are equal: the image as the raw body; a form with the part ``image``; JSON with ``image`` in base64.
Options are form fields, JSON keys, or, beside any of them, the header ``X-PointRend-Options``. Without an image,
``describe`` or ``health`` may be asked for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from pointrend.errors import InvalidOption, InvalidRequest
from pointrend.images.base64_text import InvalidBase64, clean_base64, decode_base64, decoded_size
from pointrend.images.decode import check_bytes
from pointrend.images.limits import ImageLimits
from pointrend.structures.option_kinds import Boolean
from pointrend.structures.options import OPTIONS_HEADER, Options

IMAGE_PARTS = ("image", "data")
BODY = "body"  # what a body that is no form is called among the parts
SEGMENT, DESCRIBE, HEALTH = "segment", "describe", "health"


@dataclass(frozen=True, slots=True)
class Request:
    """What one request asks for.

    Attributes:
        action: :data:`SEGMENT`, :data:`DESCRIBE` or :data:`HEALTH`; only the first has the rest.
        image: the image file's bytes.
        options: how to answer.
    """

    action: str
    image: bytes | bytearray = b""
    options: Options = field(default_factory=Options)


def read_form(fields: Mapping[str, Any], headers: Mapping[str, str]) -> Request:
    """Read a request that is a form, or an image as the raw body: a form with the one part :data:`BODY`.

    Args:
        fields: bytes by the names of their parts; a part that was declared as text or JSON may be decoded already.
        headers: of HTTP, their names in any spelling.

    Raises:
        InvalidRequest: the request cannot be understood or carries no image.
        InvalidOption: an option is unknown or out of range.
    """
    texts = _readable(headers)
    _check_text(fields)
    action = _action(fields)
    return Request(action) if action != SEGMENT else _request(*_from_form(fields), texts)


def read_json(body: object, headers: Mapping[str, str], limits: ImageLimits) -> Request:
    """Read a request whose body is JSON.

    Args:
        body: its bytes, or the value that they stand for, where the server has parsed them.
        headers: of HTTP, their names in any spelling.
        limits: bounds the size of base64 before it is decoded.

    Raises:
        InvalidRequest: the request cannot be understood or carries no image.
        ImageTooLarge: base64 that stands for more bytes than allowed.
        InvalidOption: an option is unknown or out of range.
    """
    texts = _readable(headers)
    tree = _parsed(body)
    _check_text(tree)
    action = _action(tree)
    return Request(action) if action != SEGMENT else _request(*_from_json(tree, limits), texts)


def _readable(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers by their names in lower case, of a request that is not compressed."""
    texts = {name.lower(): value for name, value in headers.items()}
    if texts.get("content-encoding", "identity").lower() != "identity":
        raise InvalidRequest(
            f"Content-Encoding {texts['content-encoding']!r} is not supported; send the body uncompressed.",
            field="Content-Encoding",
            value=texts["content-encoding"],
            code="unsupported_encoding",
            status=415,
        )
    return texts


def _request(image: bytes | bytearray, options: dict[str, Any], texts: Mapping[str, str]) -> Request:
    """Add the options that stand in headers."""
    for name, value in _header_options(texts.get(OPTIONS_HEADER.lower(), "")).items():
        if name in options:
            raise InvalidRequest(
                f"The option {name!r} is both in the request and in {OPTIONS_HEADER}; send it once.",
                field=name,
                code="duplicate_option",
            )
        options[name] = value
    if "format" not in options and _first_media_type(texts.get("accept", "")) == "image/png":
        options["format"] = "png"
    return Request(SEGMENT, image, Options.parse(options))


def _action(fields: Mapping[str, Any]) -> str:
    """What is asked for: without an image, ``describe`` or ``health``, set to true, may stand alone."""
    asked = [name for name in (DESCRIBE, HEALTH) if name in fields]
    if not asked or any(name in fields for name in (*IMAGE_PARTS, BODY)):
        return SEGMENT
    if len(fields) > 1:
        raise InvalidRequest(f"{asked[0]} must be the only field: omit the others.", field=asked[0])
    return asked[0] if Boolean().read(asked[0], _text(asked[0], fields[asked[0]])) else SEGMENT


def _from_form(fields: Mapping[str, Any]) -> tuple[bytes | bytearray, dict[str, Any]]:
    image, options = _split(fields, (*IMAGE_PARTS, BODY))
    if isinstance(image, str):
        image = image.encode()  # declared as text/...: decoded by the server
    if not isinstance(image, bytes | bytearray):
        raise InvalidRequest("The part 'image' must be a file, not JSON.", field="image")
    return image, {name: _text(name, value) for name, value in options.items()}


def _parsed(body: Any) -> Mapping[str, Any]:
    """The JSON object of a body; bytes where the server left or could not read it."""
    if isinstance(body, bytes | bytearray):
        if not body:
            body = b"{}"
        try:
            body = json.loads(body)
        except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
            raise InvalidRequest(f"The body is not valid JSON: {error}.", code="invalid_json") from error
    if not isinstance(body, Mapping):
        raise InvalidRequest("The JSON body must be an object with the key 'image'.", code="invalid_json")
    return body


def _check_text(fields: Mapping[str, Any]) -> None:
    """Refuse half a character anywhere in JSON (``"\\ud800"``, a lone surrogate): no answer could repeat it."""
    pending: list[Any] = [fields]
    while pending:  # a loop, since JSON nests deeper than Python calls
        value = pending.pop()
        if isinstance(value, Mapping):
            pending += [*value.keys(), *value.values()]
        elif isinstance(value, list | tuple):
            pending += value
        elif isinstance(value, str) and not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError as error:
                half = f"\\u{ord(value[error.start]):04x}"
                raise InvalidRequest(
                    f"The JSON text holds a lone surrogate, {half}, which is half a character.",
                    value=half,
                    code="invalid_json",
                ) from error


def _from_json(tree: Mapping[str, Any], limits: ImageLimits) -> tuple[bytes, dict[str, Any]]:
    image, fields = _split(tree, IMAGE_PARTS)
    if not isinstance(image, str):
        raise InvalidRequest("In JSON, 'image' must be the image file in base64.", field="image", code="invalid_base64")
    if image[:5].lower() == "data:":
        image = image.partition(",")[2]
    text = clean_base64(image)
    check_bytes(decoded_size(text), limits)
    try:
        return decode_base64(text), fields
    except InvalidBase64 as error:
        raise InvalidRequest(f"'image' is not valid base64: {error}.", field="image", code="invalid_base64") from error


def _split(fields: Mapping[str, Any], image_names: tuple[str, ...]) -> tuple[Any, dict[str, Any]]:
    """Part the image from the options."""
    parts = [name for name in image_names if name in fields]
    if len(parts) > 1:
        raise InvalidRequest(
            f"The request carries {len(parts)} images, {' and '.join(map(repr, parts))}; send one per request.",
            field="image",
            limit=1,
            value=len(parts),
            code="duplicate_image",
        )
    if not parts or not fields[parts[0]]:
        raise InvalidRequest(
            "The request carries no image: send it as the body, as the form part 'image', "
            "or in JSON as 'image' in base64.",
            field="image",
            code="missing_image",
        )
    return fields[parts[0]], {name: value for name, value in fields.items() if name != parts[0]}


def _text(name: str, value: Any) -> Any:
    """A form field as text; a part that was declared as JSON or text may have been decoded by the server."""
    if not isinstance(value, bytes | bytearray):
        return value
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidOption(f"The field {name!r} is not UTF-8 text.", field=name) from error


def _header_options(header: str) -> dict[str, str]:
    if not header.strip():
        return {}
    try:
        pairs = parse_qsl(header.strip(), keep_blank_values=True, strict_parsing=True)
    except ValueError as error:
        raise InvalidRequest(
            f"{OPTIONS_HEADER} must be URL-encoded, such as score_threshold=0.7&masks=none: {error}.",
            field=OPTIONS_HEADER,
            code="invalid_options_header",
        ) from error
    options = dict(pairs)
    if len(options) < len(pairs):
        raise InvalidRequest(
            f"{OPTIONS_HEADER} repeats an option.", field=OPTIONS_HEADER, code="invalid_options_header"
        )
    return options


def _first_media_type(accept: str) -> str:
    return accept.split(",", maxsplit=1)[0].split(";", maxsplit=1)[0].strip().lower()
