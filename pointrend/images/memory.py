"""How much memory decoding an image takes, told before it is decoded."""

from __future__ import annotations

from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from pointrend.images.metadata import metadata_bytes

_RESULT = 3  # bytes a pixel of the RGB array
_ONE_BYTE = ("1", "L", "P")
# A canvas, a frame and its copy; planes of up to 16 bits, and RGB made from them.
_HELD = {"WEBP": 13, "AVIF": 10, "HEIF": 10}
_TILE_WIDTH, _TILE_LENGTH, _ROWS_PER_STRIP, _BITS_PER_SAMPLE, _COMPRESSION = 322, 323, 278, 258, 259
_LZMA = 34925
_MOST_SAMPLES = 8  # that Pillow reads
_TWO_BYTES = ("I;16", "I;16L", "I;16B", "I;16N")


def decoding_bytes(image: Image.Image) -> int:
    """An upper bound of what is held at a time while an opened file becomes an RGB array.

    Args:
        image: opened, not loaded.

    Returns:
        bytes: the picture as Pillow keeps it, the array, what the format's decoder holds besides, and the metadata.
    """
    area = image.width * image.height
    stored = 1 if image.mode in _ONE_BYTE else 2 if image.mode in _TWO_BYTES else 4
    return area * stored + max(_decoder(image, area, stored), area * _RESULT) + metadata_bytes(image)


def _decoder(image: Image.Image, area: int, stored: int) -> int:
    """Bytes that the format's decoder holds beside the picture; measured, the array not being there yet."""
    if image.format in _HELD:
        return area * _HELD[image.format]
    if isinstance(image, TiffImageFile):
        return _segment(image)
    if getattr(image, "is_animated", False) or image.format == "GIF":  # what its next frame is laid on
        return area * (stored + _RESULT)
    if image.info.get("progressive"):  # JPEG's coefficients of all components, two bytes each
        return area * 2 * len(image.getbands())
    return 0


def _segment(image: TiffImageFile) -> int:
    """A TIFF's strip or tile, which libtiff decompresses as a whole; a tile may be larger than the picture."""
    if not image.tile or image.tile[0][0] != "libtiff":
        return 0
    tags = image.tag_v2
    if _TILE_WIDTH in tags:
        pixels = int(tags[_TILE_WIDTH]) * int(tags.get(_TILE_LENGTH, 0))
    else:
        pixels = image.width * min(int(tags.get(_ROWS_PER_STRIP, image.height)), image.height)
    bits = sum(map(int, tags.get(_BITS_PER_SAMPLE, (1,))[:_MOST_SAMPLES]))
    # Strips of JPEG are converted to RGBA; LZMA keeps a window as large as what it gives.
    return pixels * max(4, -(-bits // 8)) * (2 if tags.get(_COMPRESSION) == _LZMA else 1)
