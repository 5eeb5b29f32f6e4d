"""An image as a PNG file, fast rather than small: it is sent once and not kept."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo


def encode_png(image: NDArray[np.uint8] | Image.Image) -> bytes:
    """Encode (H, W, 3) or (H, W, 4) uint8 pixels, or any PIL image whose mode PNG has.

    Colours are marked as sRGB (chunk sRGB), which is what all pixels here are.
    """
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    file = io.BytesIO()
    tags = PngInfo()
    if picture.mode in ("RGB", "RGBA", "P"):
        tags.add(b"sRGB", b"\0")  # the rendering intent: perceptual
    picture.save(file, "PNG", compress_level=1, pnginfo=tags)
    return file.getvalue()
