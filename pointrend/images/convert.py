"""Any Pillow picture as upright sRGB pixels: the one way from a picture to what a model sees.

Shapes: H, W are the upright image's height and width in pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pointrend.images.colours import is_srgb, to_srgb

STRIP_PIXELS = 2**17  # converted at a time: what a conversion needs besides its result stays under a few MB

_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = (5, 6, 7, 8)  # rows become columns
_FROM_THE_END = (3, 4, 6, 7)  # the first row becomes the last row or column

_Strip = tuple[int, int, Image.Image]


def to_pixels(image: Image.Image) -> NDArray[np.uint8]:
    """Convert a picture of any mode: upright by its EXIF orientation, in sRGB, transparency laid on white.

    Sixteen-bit grey keeps its upper eight bits, as sixteen-bit colour does; 32-bit integers and floats, which
    declare no white, are stretched from their darkest to their lightest value (floats within [0, 1] are taken as such).
    Colours are converted from the profile that the picture carries; one that is damaged, or made for another colour
    space than the picture's, is ignored.

    >>> to_pixels(Image.new("LA", (1, 1), (0, 0))).tolist()
    [[[255, 255, 255]]]

    Args:
        image: a multi-page file's current frame.

    Returns:
        (H, W, 3) uint8 RGB, contiguous and writable.

    Raises:
        OSError: the file behind the picture is damaged.
    """
    image.load()
    orientation = _orientation(image)
    convert = _converter(image)
    sideways = orientation in _SIDEWAYS
    height, width = (image.width, image.height) if sideways else (image.height, image.width)
    pixels = np.empty((height, width, 3), dtype=np.uint8)
    for top, bottom, strip in _strips(image):
        part = convert(strip)
        if orientation in _UPRIGHT:
            part = part.transpose(_UPRIGHT[orientation])
        place = slice(top, bottom)
        if orientation in _FROM_THE_END:
            place = slice(image.height - bottom, image.height - top)
        pixels[(slice(None), place) if sideways else place] = np.asarray(part)
    return pixels


def to_picture(image: Image.Image) -> Image.Image:
    """Convert as :func:`to_pixels` does, to an RGB picture: the same one where there is nothing to convert."""
    image.load()
    plain = image.mode in ("RGB", "L") and not image.has_transparency_data and is_srgb(image)
    if not plain or _orientation(image) in _UPRIGHT:
        return Image.fromarray(to_pixels(image))
    return image if image.mode == "RGB" else image.convert("RGB")


def _strips(image: Image.Image) -> Iterator[_Strip]:
    """Parts of the picture as wide as it is: the first row, the row after the last, and the part."""
    rows = max(1, STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        bottom = min(top + rows, image.height)
        yield top, bottom, image.crop((0, top, image.width, bottom))


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, asked for after loading: PNG keeps it behind the pixels, TIFF is upright by then."""
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:
        # A broken EXIF block, in one of many ways, does not make the image unreadable.
        return 1


def _converter(image: Image.Image) -> Callable[[Image.Image], Image.Image]:
    """What makes a strip of the picture RGB."""
    coloured = to_srgb(image)
    levels = _levels(image)
    transparent = image.has_transparency_data

    def convert(strip: Image.Image) -> Image.Image:
        if levels is not None:
            return coloured(levels(strip))
        if not transparent:
            return coloured(strip)
        # Premultiplied grey converts to plain grey alone.
        whole = (strip.convert("LA") if strip.mode == "La" else strip).convert("RGBA")
        grey = image.mode in ("1", "L", "LA", "La")
        white = Image.new("RGB", strip.size, (255, 255, 255))
        white.paste(coloured(whole.getchannel("R") if grey else whole.convert("RGB")), mask=whole.getchannel("A"))
        return white

    return convert


def _levels(image: Image.Image) -> Callable[[Image.Image], Image.Image] | None:
    """What makes a strip of deeper grey than eight bits a grey picture of eight; None where the grey is no deeper."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        # Older Pillow opens a sixteen-bit grey PNG as 32-bit integers.
        clear = image.info.get("transparency")
        return lambda strip: _sixteen_bits(np.asarray(strip), clear)
    if image.mode not in ("I", "F"):
        return None
    extremes = [(float(part.min()), float(part.max())) for part in (_finite(strip) for _, _, strip in _strips(image))]
    low, high = min(low for low, _ in extremes), max(high for _, high in extremes)
    if image.mode == "F" and low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    scale = 255 / ((high - low) or 1.0)
    return lambda strip: Image.fromarray(np.rint((_finite(strip) - low) * scale).astype(np.uint8))


def _sixteen_bits(values: NDArray[Any], clear: object) -> Image.Image:
    levels = (values >> 8).astype(np.uint8)
    if isinstance(clear, int):
        levels[values == clear] = 255
    return Image.fromarray(levels)


def _finite(strip: Image.Image) -> NDArray[np.float64]:
    """The values, with 0 for what is none; in double precision, which a difference of extreme ones needs."""
    return np.nan_to_num(np.asarray(strip, dtype=np.float64), nan=0.0, posinf=0.0, neginf=0.0)
