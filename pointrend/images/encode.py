"""An image as a PNG file, fast rather than small: it is sent once and not kept."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def encode_png(image: NDArray[np.uint8] | Image.Image) -> bytes:
    """Encode (H, W, 3) or (H, W, 4) uint8 pixels, or any PIL image whose mode PNG has."""
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=1)
    return file.getvalue()
