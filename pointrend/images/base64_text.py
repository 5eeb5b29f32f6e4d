"""Base64 as people send it: of either alphabet, with or without padding, in one line or many."""

from __future__ import annotations

import base64
import binascii


class InvalidBase64(ValueError):
    """Text that is not base64."""


def clean_base64(text: str) -> str:
    """The same in the usual alphabet, padded, without spaces and line breaks."""
    cleaned = "".join(text.split()).replace("-", "+").replace("_", "/")
    return cleaned if "=" in cleaned else cleaned + "=" * (-len(cleaned) % 4)


def decoded_size(cleaned: str) -> int:
    """How many bytes cleaned text stands for."""
    return len(cleaned) // 4 * 3 - cleaned.endswith("=") - cleaned.endswith("==")


def decode_base64(text: str) -> bytes:
    """The bytes that a text stands for.

    >>> decode_base64("_-8")
    b'\\xff\\xef'

    Raises:
        InvalidBase64: it stands for none.
    """
    try:
        return base64.b64decode(clean_base64(text), validate=True)
    except (binascii.Error, ValueError) as error:  # ValueError: letters beyond ASCII
        raise InvalidBase64(str(error)) from error
