"""From single objects to one mask a category: a map of the image in which each pixel has one category, or none.

Shapes: H, W of the image, h, w of a mask's window, in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

ClassMap = NDArray[np.uint16]
"""(H, W): 0 where there is nothing, else 1 + the index of the category."""


def merge(
    masks: Sequence[tuple[int, int, NDArray[np.bool_]]], classes: Sequence[int], size: tuple[int, int]
) -> ClassMap:
    """Lay masks over each other, the best on top.

    Args:
        masks: each one's window: its left, its top and its mask (h, w), by descending score.
        classes: index of each one's category.
        size: (H, W).
    """
    merged = np.zeros(size, dtype=np.uint16)
    for (x, y, mask), index in zip(reversed(masks), reversed(classes), strict=True):
        merged[y : y + mask.shape[0], x : x + mask.shape[1]][mask] = index + 1
    return merged
