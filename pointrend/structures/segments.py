"""From a map of categories to segments: one mask a category.

Shapes: H, W of the image, h, w of a mask's window, in pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from pointrend.masks.encode import encode_mask
from pointrend.masks.semantic import ClassMap
from pointrend.structures.model_info import Category
from pointrend.structures.prediction import Segment


def segments(classes: ClassMap, categories: Sequence[Category], form: str) -> tuple[Segment, ...]:
    """One segment a category that is seen, largest first.

    Args:
        classes: (H, W), every value at most the number of categories.
        categories: those that ``classes`` counts.
        form: of the masks, as in :class:`~pointrend.structures.options.Options`.
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
