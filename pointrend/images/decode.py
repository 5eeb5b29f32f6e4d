"""Bytes of an image file in, an upright RGB array out; what is too large is refused before it is decoded.

Shapes: H, W are the upright image's height and width in pixels.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from pointrend.errors import ImageTooLarge, InvalidRequest, RequestError, UnsupportedImage
from pointrend.images.colours import AVIF_HEADER, note_avif_colours
from pointrend.images.convert import to_pixels
from pointrend.images.formats import FORMATS
from pointrend.images.limits import ImageLimits
from pointrend.images.memory import decoding_bytes
from pointrend.images.metadata import without_texts
from pointrend.images.recognise import BEGINNING, recognise


def decode(data: bytes | bytearray, limits: ImageLimits | None = None) -> NDArray[np.uint8]:
    """Decode an image file: the first frame, upright by its EXIF orientation, transparency laid on white.

    Colours are converted to sRGB; see :func:`pointrend.images.convert.to_pixels`.

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
    with open_image(data, limits) as image, _refusing(data):
        return to_pixels(image)


def open_image(data: bytes | bytearray, limits: ImageLimits | None = None) -> Image.Image:
    """Open an image file without decoding it; the arguments and errors are those of :func:`decode`."""
    limits = limits or ImageLimits()
    if not data:
        raise InvalidRequest("The image is empty: 0 bytes arrived.", field="image", code="missing_image")
    check_bytes(len(data), limits)
    return open_file(io.BytesIO(without_texts(data)), limits)


def open_file(file: BinaryIO, limits: ImageLimits) -> Image.Image:
    """Open an image file, from its beginning, without decoding it; the errors are those of :func:`decode`.

    Args:
        file: opened for reading; the picture reads from it when it is loaded.
        limits: what is allowed; the size in bytes is not asked for.
    """
    start = file.read(BEGINNING)
    with _refusing(start):
        _check_webp_header(start, limits)
        image = _opened(file, start[:16])
        if image.format == "AVIF":
            file.seek(0)
            note_avif_colours(image, file.read(AVIF_HEADER))
    try:
        check_size(image.width, image.height, limits)
        check_memory(decoding_bytes(image), limits)
    except RequestError:
        image.close()
        raise
    return image


def _opened(file: BinaryIO, start: bytes) -> Image.Image:
    """Let each format that knows the file's beginning try.

    As :func:`PIL.Image.open`, but without its own limit on pixels, which is a global of the process: a user's filter
    of warnings makes an error of it, and its words name no size.
    """
    failure: Exception | None = None
    for name in FORMATS:
        factory, accept = Image.OPEN[name]
        accepted = accept is None or accept(start)
        if not accepted or isinstance(accepted, str):
            continue
        try:
            file.seek(0)
            return factory(file, "")
        except MemoryError:
            raise
        except Exception as error:  # the next format may know it better: HEIF and AVIF share brands
            failure = error
    raise UnidentifiedImageError("no format knows it") from failure


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
        raise UnsupportedImage(f"The image is {width}x{height} pixels; each side must be at least 1.", field="image")
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


def check_memory(count: int, limits: ImageLimits) -> None:
    """Refuse an image by the memory that decoding it takes.

    Raises:
        ImageTooLarge: more than ``limits.max_memory``.
    """
    if count > limits.max_memory:
        raise ImageTooLarge(
            f"Decoding the image takes {count} bytes of memory; at most {limits.max_memory} are allowed. "
            "Make it smaller, or save it as baseline JPEG or 8-bit PNG.",
            field="image",
            limit=limits.max_memory,
            value=count,
        )


@contextmanager
def _refusing(data: bytes | bytearray) -> Iterator[None]:
    """Turn what Pillow raises on hostile bytes into our own errors."""
    try:
        yield
    except (RequestError, MemoryError):
        raise
    except Exception as error:
        # Pillow's plugins answer broken bytes with OSError, SyntaxError, ValueError, struct.error, IndexError,
        # KeyError, zlib.error and more; which one says nothing that the sender could use.
        name, advice = recognise(data)
        what = (
            f"This looks like {name}, not an image that can be read: {advice}."
            if name
            else ("The data is not an image that can be read.")
        )
        raise UnsupportedImage(
            f"{what} Formats that are read: {', '.join(FORMATS)}.",
            field="image",
            limit=list(FORMATS),
            value=name or None,
        ) from error


def _check_webp_header(data: bytes | bytearray, limits: ImageLimits) -> None:
    """Pillow allocates an extended WebP's canvas when it opens the file, before its size can be asked for.

    Its VP8X chunk (RFC 9649, section 2.7) holds width - 1 and height - 1 as 24-bit numbers at bytes 24 and 27.
    """
    if data[:4] == b"RIFF" and data[8:16] == b"WEBPVP8X" and len(data) >= 30:
        check_size(1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little"), limits)
