"""A mask, known inside its window, in the form that the caller asked for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pointrend.masks.decode import Segmentation
from pointrend.masks.polygons import polygons
from pointrend.masks.rle import encode_crop


def encode_mask(form: str, crop: NDArray[np.bool_], x: int, y: int, size: tuple[int, int]) -> Segmentation | None:
    """Encode a mask.

    Args:
        form: ``polygon``, ``none`` or, both run lengths here, ``rle`` and ``probability``, as in
            :class:`~pointrend.structures.options.Options`.
        crop: (h, w) bool, the mask inside its window.
        x, y: the window's left and top in the image.
        size: the image's (height, width).
    """
    if form == "none":
        return None
    if form == "polygon":
        return polygons(crop, x, y)
    return encode_crop(crop, x, y, *size)
