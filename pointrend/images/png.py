"""PNG files from somebody who may mean harm: read within bounds, or refused with a ValueError."""

from __future__ import annotations

import io
import struct

from PIL import Image

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def read_png(data: bytes, max_pixels: int) -> Image.Image:
    """Open a PNG file that is whole: its size is within bounds and every chunk up to its end is undamaged.

    The pixels are not decoded yet: :meth:`~PIL.Image.Image.load` may still raise an OSError.

    Raises:
        ValueError: it is something else.
    """
    if not data.startswith(_SIGNATURE) or len(data) < 24:
        raise ValueError("it is not a PNG file")
    width, height = struct.unpack(">II", data[16:24])
    if width < 1 or height < 1 or width * height > max_pixels:
        raise ValueError(f"the picture has {width}x{height} pixels; 1 to {max_pixels} are accepted")
    try:
        Image.open(io.BytesIO(data), formats=("PNG",)).verify()
        return Image.open(io.BytesIO(data), formats=("PNG",))  # verify() leaves an image that cannot be loaded
    except Exception as error:
        # Pillow answers broken bytes with OSError, SyntaxError, ValueError, struct.error, IndexError and more.
        raise ValueError(f"the picture is damaged: {error}") from error
