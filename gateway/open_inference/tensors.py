"""Tensors of the datatype BYTES: which shapes are taken, and their elements in the binary tensor data extension."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from gateway.image_urls import FIELD
from pointrend.errors import ImageTooLarge, InvalidRequest
from pointrend.structures.option_kinds import shown

IMAGE, IMAGE_URL = "image", FIELD
INPUTS = (IMAGE, IMAGE_URL)
"""The inputs, of which a request has one: image files, or where they are."""
PREDICTION, STATUS = "prediction", "status"
"""The outputs: a prediction or an error for each image, and its HTTP status."""
BYTES, INT32 = "BYTES", "INT32"
MAX_IMAGES = 32
_LENGTH = struct.Struct("<I")


def check_input(name: object, datatype: object, shape: object) -> tuple[int, ...]:
    """Check how an input is declared; return its shape, (N,) or (N, 1) for N images.

    Raises:
        InvalidRequest: it is another tensor than the model takes.
        ImageTooLarge: it declares more than :data:`MAX_IMAGES`.
    """
    if name not in INPUTS:
        message = f"There is no input {_short(name)}; the input is {IMAGE!r}, or {IMAGE_URL!r} where URLs are allowed."
        raise invalid("name", message, list(INPUTS), name)
    if datatype != BYTES:
        message = f"The input {name!r} has the datatype {_short(datatype)}; it takes {BYTES}."
        raise invalid("datatype", message, BYTES, datatype)
    sides = shape if isinstance(shape, list | tuple) else []
    numbers = [side for side in sides if isinstance(side, int) and not isinstance(side, bool) and side > 0]
    if len(numbers) != len(sides) or not sides or tuple(numbers[1:]) not in ((), (1,)):
        message = f"The input {name!r} has the shape {_short(shape)}; for N images it is [N] or [N, 1]."
        raise invalid("shape", message, None, shape)
    if numbers[0] > MAX_IMAGES:
        raise ImageTooLarge(
            f"The input {name!r} has {numbers[0]} images; at most {MAX_IMAGES} are accepted per request.",
            field="shape",
            limit=MAX_IMAGES,
            value=numbers[0],
            code="request_too_large",
        )
    return tuple(numbers)


def check_count(count: int, shape: Sequence[int], name: str = IMAGE) -> None:
    """Compare the number of elements with the shape.

    Raises:
        InvalidRequest: they differ.
    """
    if count != shape[0]:
        message = f"The input {name!r} has {count} elements, and its shape {list(shape)} says {shape[0]}."
        raise invalid("data", message, shape[0], count)


def pack(elements: Sequence[bytes]) -> bytes:
    """The elements of a BYTES tensor, each after its length in 4 bytes, little-endian.

    >>> pack([b"ab", b""])
    b'\\x02\\x00\\x00\\x00ab\\x00\\x00\\x00\\x00'
    """
    return b"".join(part for element in elements for part in (_LENGTH.pack(len(element)), element))


def unpack(raw: bytes | memoryview, name: str = IMAGE) -> list[bytes]:
    """The elements that :func:`pack` wrote, of the input of that name.

    Raises:
        InvalidRequest: an element ends beyond the data.
    """
    elements: list[bytes] = []
    view, at = memoryview(raw), 0
    while at < len(view):
        if len(view) - at < _LENGTH.size:
            raise invalid("data", f"The binary data of {name!r} ends within an element's length.", None, None)
        (length,) = _LENGTH.unpack_from(view, at)
        at += _LENGTH.size
        if length > len(view) - at:
            message = f"Element {len(elements)} of {name!r} declares {length} bytes; {len(view) - at} are left."
            raise invalid("data", message, len(view) - at, length)
        if len(elements) == MAX_IMAGES:
            raise invalid("data", f"The binary data of {name!r} has more than {MAX_IMAGES} elements.", MAX_IMAGES, None)
        elements.append(bytes(view[at : at + length]))
        at += length
    return elements


def invalid(field: str, message: str, limit: Any, value: Any) -> InvalidRequest:
    """400: a message of the protocol, or a tensor in it, cannot be understood."""
    return InvalidRequest(message, field=field, limit=limit, value=None if value is None else shown(value))


def _short(value: object) -> str:
    return repr(value)[:100]
