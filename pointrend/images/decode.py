"""Bytes of an image file in, an upright RGB array out; what is too large is refused before it is decoded.

Shapes: H, W are the upright image's height and width in pixels.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pointrend.errors import ImageTooLarge, InvalidRequest, UnsupportedImage
from pointrend.images.formats import FORMATS

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


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """What an image may cost.

    Attributes:
        max_bytes: size of the file.
        max_pixels: width times height; 50 million cover every phone's image at about 150 MB as RGB.
        max_side: width and height each, in pixels.
    """

    max_bytes: int = 20 * 1024 * 1024
    max_pixels: int = 50_000_000
    max_side: int = 30_000


def decode(data: bytes | bytearray, limits: ImageLimits | None = None) -> NDArray[np.uint8]:
    """Decode an image file: the first frame, upright by its EXIF orientation, transparency laid on white.

    Sixteen-bit grey keeps its upper eight bits, as sixteen-bit colour does; 32-bit integers and floats, which
    declare no white, are stretched from their darkest to their lightest value (floats within [0, 1] are taken as such).

    Args:
        data: the file's bytes; one of :data:`FORMATS`.
        limits: what is allowed; the defaults of :class:`ImageLimits` where left out.

    Returns:
        (H, W, 3) uint8 RGB, contiguous and writable.

    Raises:
        InvalidRequest: there are no bytes.
        ImageTooLarge: a limit is passed; found in the header, before any pixel is decoded.
        UnsupportedImage: not one of the formats, damaged, cut short, or without pixels.
    """
    limits = limits or ImageLimits()
    if not data:
        raise InvalidRequest("The image is empty: 0 bytes arrived.", field="image", code="missing_image")
    check_bytes(len(data), limits)
    with _refusing("is not an image that can be read"):
        _check_webp_header(data, limits)
        image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
    with image:
        check_size(image.width, image.height, limits)
        with _refusing("is damaged or ends too early"):
            image.load()
            orientation = _orientation(image)
            rgb = _to_rgb(image)
            if orientation in _UPRIGHT:
                rgb = rgb.transpose(_UPRIGHT[orientation])
            return np.array(rgb)


def check_bytes(count: int, limits: ImageLimits) -> None:
    """Refuse a file by its size in bytes.

    Raises:
        ImageTooLarge: more than ``limits.max_bytes``.
    """
    if count > limits.max_bytes:
        raise ImageTooLarge(
            f"The image has {count} bytes; at most {limits.max_bytes} are accepted.",
            field="image",
            limit=limits.max_bytes,
            value=count,
        )


def check_size(width: int, height: int, limits: ImageLimits) -> None:
    """Refuse an image by its size in pixels.

    Raises:
        UnsupportedImage: a side is 0.
        ImageTooLarge: a side or the area passes its limit.
    """
    if width < 1 or height < 1:
        raise UnsupportedImage(f"The image is {width}x{height} pixels: it has none.", field="image")
    if max(width, height) > limits.max_side:
        raise ImageTooLarge(
            f"The image is {width}x{height} pixels; no side may have more than {limits.max_side}.",
            field="image",
            limit=limits.max_side,
            value=max(width, height),
        )
    if width * height > limits.max_pixels:
        raise ImageTooLarge(
            f"The image is {width}x{height}, which is {width * height} pixels; "
            f"at most {limits.max_pixels} are accepted.",
            field="image",
            limit=limits.max_pixels,
            value=width * height,
        )


@contextmanager
def _refusing(problem: str) -> Iterator[None]:
    """Turn what Pillow raises on hostile bytes into our own errors."""
    try:
        yield
    except (ImageTooLarge, UnsupportedImage, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLarge(f"The image has too many pixels: {error}", field="image") from error
    except Exception as error:
        # Pillow's plugins answer broken bytes with OSError, SyntaxError, ValueError, struct.error, IndexError,
        # KeyError, zlib.error and more; which one says nothing that the sender could use.
        raise UnsupportedImage(
            f"The data {problem}; send one of {', '.join(FORMATS)}.", field="image", limit=list(FORMATS)
        ) from error


def _check_webp_header(data: bytes | bytearray, limits: ImageLimits) -> None:
    """Pillow allocates an extended WebP's canvas when it opens the file, before its size can be asked for.

    Its VP8X chunk (RFC 9649, section 2.7) holds width - 1 and height - 1 as 24-bit numbers at bytes 24 and 27.
    """
    if data[:4] == b"RIFF" and data[8:16] == b"WEBPVP8X" and len(data) >= 30:
        check_size(1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little"), limits)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, asked for after loading: PNG keeps it behind the pixels, TIFF is upright by then."""
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:
        # A broken EXIF block, in one of many ways, does not make the image unreadable.
        return 1


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        # Older Pillow opens a sixteen-bit grey PNG as 32-bit integers.
        return _grey(np.asarray(image) >> 8)
    if image.mode in ("I", "F"):
        return _grey(_stretch(np.asarray(image)))
    if image.has_transparency_data:
        colours = image.convert("RGBA")
        white = Image.new("RGB", image.size, (255, 255, 255))
        white.paste(colours, mask=colours.getchannel("A"))
        return white
    return image.convert("RGB")


def _grey(levels: NDArray[np.generic]) -> Image.Image:
    return Image.fromarray(levels.astype(np.uint8)).convert("RGB")


def _stretch(values: NDArray[np.generic]) -> NDArray[np.float32]:
    levels = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(levels.min()), float(levels.max())
    if values.dtype.kind == "f" and low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    span = (high - low) or 1.0
    stretched: NDArray[np.float32] = np.rint((levels - low) * (255 / span))
    return stretched
