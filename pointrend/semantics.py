"""From single objects to one mask a category: a map of the photo in which each pixel has one category, or none.

Shapes: H, W of the photo, h, w of a mask's window, in pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from pointrend.mask_encoding import encode_mask
from pointrend.prediction import Segment
from pointrend.weights.folder import Category

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


def segments(classes: ClassMap, categories: Sequence[Category], form: str) -> tuple[Segment, ...]:
    """One segment a category that is seen, largest first.

    Args:
        classes: (H, W), every value at most the number of categories.
        categories: those that ``classes`` counts.
        form: of the masks, as in :class:`~pointrend.options.Options`.
    """
    size = classes.shape[0], classes.shape[1]
    areas = np.bincount(classes.ravel(), minlength=len(categories) + 1)[1:]
    seen: Iterable[int] = sorted(np.flatnonzero(areas).tolist(), key=lambda index: (-int(areas[index]), index))
    found = []
    for index in seen:
        category = categories[index]
        x, y, mask = _window(classes == index + 1)
        found.append(Segment(category.id, category.name, int(areas[index]), encode_mask(form, mask, x, y, size)))
    return tuple(found)


def _window(mask: NDArray[np.bool_]) -> tuple[int, int, NDArray[np.bool_]]:
    """The smallest window of a mask (H, W) that has pixels."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    x, y = int(columns[0]), int(rows[0])
    return x, y, mask[y : int(rows[-1]) + 1, x : int(columns[-1]) + 1]
