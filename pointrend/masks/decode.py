"""A mask, as run lengths or polygons, decoded to the part of the image that holds it. Needs no torch.

Shapes: h, w of a mask's window in pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointrend.masks.polygon_runs import polygon_runs
from pointrend.masks.rle import MAX_DECODED_PIXELS, checked_size, crop_of_runs, decode_crop

Segmentation = dict[str, Any] | list[list[float]]
"""A mask in COCO's form: compressed run lengths, ``{"size": [height, width], "counts": str}``, or polygons, each
``[x0, y0, x1, y1, ...]``, whose union it is."""

Window = tuple[int, int, NDArray[np.bool_]]


def window(segmentation: Segmentation, size: tuple[int, int]) -> Window:
    """The part of the image that holds a mask: its left, its top and the (h, w) bool mask there.

    Args:
        segmentation: run lengths or polygons.
        size: the image's (height, width), which polygons do not know.

    Raises:
        ValueError: as in :func:`pointrend.masks.rle.runs` and :func:`pointrend.masks.polygon_runs.polygon_runs`.
    """
    if isinstance(segmentation, dict):
        return decode_crop(segmentation)
    return crop_of_runs(*polygon_runs(segmentation, size), size[0])


def full(segmentation: Segmentation, size: tuple[int, int]) -> NDArray[np.bool_]:
    """The whole image's mask, (height, width) bool; arguments and errors as in :func:`window`."""
    height, width = checked_size(segmentation["size"] if isinstance(segmentation, dict) else size)
    if height * width > MAX_DECODED_PIXELS:
        raise ValueError(f"A mask of {width}x{height} pixels is too large: at most {MAX_DECODED_PIXELS} are decoded.")
    x, y, crop = window(segmentation, (height, width))
    mask = np.zeros((height, width), dtype=np.bool_)
    mask[y : y + crop.shape[0], x : x + crop.shape[1]] = crop
    return mask
