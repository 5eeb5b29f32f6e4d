"""An image in any of the forms that people hold one in. Needs no torch.

Shapes: H, W are the upright image's height and width in pixels.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pointrend.images.convert import to_pixels
from pointrend.images.decode import decode
from pointrend.images.encode import encode_png

ImageInput = str | Path | bytes | bytearray | NDArray[np.uint8] | Image.Image
"""A path, a file's bytes, an HWC uint8 RGB array, or a PIL image."""


def file_bytes(image: ImageInput) -> bytes:
    """The image as an image file: a path's or bytes as they are, pixels as PNG.

    A PIL image is converted as the server converts files (:func:`pointrend.images.convert.to_pixels`): an image gives
    the same result whichever way it comes.

    Raises:
        OSError: the path cannot be read.
        TypeError: an array is not HWC uint8 RGB.
    """
    if isinstance(image, bytes | bytearray):
        return bytes(image)
    if isinstance(image, str | Path):
        return Path(image).read_bytes()
    if isinstance(image, Image.Image):
        return encode_png(to_pixels(image))
    return encode_png(check_pixels(image))


def pixels(image: ImageInput) -> NDArray[np.uint8]:
    """The image as (H, W, 3) uint8 RGB, upright; an array as it is.

    Raises:
        OSError: the path cannot be read.
        TypeError: an array is not HWC uint8 RGB.
        RequestError: the file is no image that we read; see :func:`pointrend.images.decode.decode`.
    """
    if isinstance(image, np.ndarray):
        return check_pixels(image)
    return to_pixels(image) if isinstance(image, Image.Image) else decode(file_bytes(image))


def check_pixels(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The same array, which must be HWC uint8 RGB.

    Raises:
        TypeError: it is not, or is empty.
    """
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise TypeError(f"An image is HWC uint8 RGB, not {array.dtype} of shape {array.shape}.")
    return array
