"""How much memory decoding an image takes, told before it is decoded."""

from __future__ import annotations

from PIL import Image

_RESULT = 3  # bytes a pixel of the RGB array
_ONE_BYTE = ("1", "L", "P")
# A canvas, a frame and its copy; planes of up to 16 bits, and RGB made from them.
_HELD = {"WEBP": 13, "AVIF": 10, "HEIF": 10}
_TWO_BYTES = ("I;16", "I;16L", "I;16B", "I;16N")


def decoding_bytes(image: Image.Image) -> int:
    """An upper bound of what is held at a time while an opened file becomes an RGB array.

    Args:
        image: opened, not loaded.

    Returns:
        bytes: the picture as Pillow keeps it, the array, and what the format's decoder holds besides.
    """
    stored = 1 if image.mode in _ONE_BYTE else 2 if image.mode in _TWO_BYTES else 4
    return image.width * image.height * (stored + max(_decoder(image), _RESULT))


def _decoder(image: Image.Image) -> int:
    """Bytes a pixel that the format's decoder holds beside the picture; measured, the array not being there yet."""
    if image.format in _HELD:
        return _HELD[image.format]
    if image.info.get("progressive"):  # JPEG's coefficients of all components, two bytes each
        return 2 * len(image.getbands())
    return 0
