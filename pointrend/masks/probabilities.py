"""A mask's probabilities as an 8-bit crop of the image: a grey PNG in base64 and its place. Needs no torch.

A value v stands for probabilities from v / 256 to (v + 1) / 256, so that the mask is where v >= 128; outside the crop
they are below 0.5.

Shapes: h, w of the crop in pixels.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointrend.images.base64_text import decode_base64
from pointrend.images.encode import encode_png
from pointrend.images.png import read_png
from pointrend.masks.rle import MAX_DECODED_PIXELS

LEVELS = 256

Crop = tuple[int, int, NDArray[np.uint8]]


def quantised(probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Probabilities (h, w) in [0, 1] in 256 levels.

    >>> quantised(np.array([[0.0, 0.4999, 0.5, 1.0]], np.float32)).tolist()
    [[0, 127, 128, 255]]
    """
    return np.minimum(probabilities * LEVELS, LEVELS - 1).astype(np.uint8)


def encode_probabilities(x: int, y: int, crop: NDArray[np.uint8]) -> dict[str, Any] | None:
    """``{"x": left, "y": top, "png": base64}`` of a crop (h, w); None of an empty one."""
    if not crop.size:
        return None
    return {"x": x, "y": y, "png": base64.b64encode(encode_png(crop)).decode("ascii")}


def decode_probabilities(tree: Mapping[str, Any], size: tuple[int, int] | None = None) -> Crop:
    """The crop's left, top and its (h, w) uint8 values.

    Args:
        tree: what :func:`encode_probabilities` made, from anybody.
        size: the image's (height, width); None where it is not known: then nothing is compared with it.

    Raises:
        ValueError: it is no base64 of an 8-bit grey PNG, or lies outside the image.
    """
    x, y, text = tree["x"], tree["y"], tree["png"]
    try:
        with read_png(decode_base64(text), MAX_DECODED_PIXELS if size is None else size[0] * size[1]) as picture:
            if picture.mode != "L":
                raise ValueError(f"the picture is {picture.mode}, not 8-bit grey")
            crop = np.array(picture, dtype=np.uint8)
    except (OSError, SyntaxError) as error:  # how Pillow answers broken pixels
        raise ValueError(f"the picture is damaged: {error}") from error
    height, width = (math.inf, math.inf) if size is None else size
    if not (0 <= x <= width - crop.shape[1] and 0 <= y <= height - crop.shape[0]):
        raise ValueError(f"{crop.shape[1]}x{crop.shape[0]} pixels at {x}, {y} lie outside the {width}x{height} image")
    return x, y, crop
