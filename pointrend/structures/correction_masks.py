"""The masks of objects that are merged or split.

Shapes: h, w of a mask's window in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pointrend.errors import InvalidRequest
from pointrend.masks.components import connected_parts
from pointrend.masks.decode import Segmentation, Window, window
from pointrend.masks.encode import encode_mask
from pointrend.masks.probabilities import Crop, encode_probabilities
from pointrend.structures.prediction import Instance

LEAST_PART = 0.01
"""The share of an object's mask from which a connected part is an object of its own."""
_MARGIN = 0.1  # of a part's longer side: around it the probabilities below 0.5 are kept

Size = tuple[int, int]  # height, width in pixels
Pixel = TypeVar("Pixel", np.bool_, np.uint8)


def merged(instances: Sequence[Instance], size: Size) -> Instance:
    """One object of several.

    Its mask is the union of theirs, in the first one's form, its box encloses their boxes, its category and score are
    the first one's, its ``grid`` is the coarsest. What a model said of one mask alone holds no longer: ``mask_score``,
    ``edge_uncertainty`` and ``points`` are None. Probabilities are joined, the higher of two counting, where every mask
    that has pixels has them.

    Args:
        instances: the best first; without masks their boxes alone are merged.
        size: the image's (height, width).
    """
    boxes = np.array([each.bbox for each in instances])
    left, top = boxes[:, :2].min(axis=0)
    right, bottom = (boxes[:, :2] + boxes[:, 2:]).max(axis=0)
    grids = [each.grid for each in instances if each.grid is not None]
    one = replace(
        instances[0],
        bbox=(float(left), float(top), float(right - left), float(bottom - top)),
        area=None,
        segmentation=None,
        points=None,
        mask_score=None,
        edge_uncertainty=None,
        probabilities=None,
        grid=min(grids, default=None),
    )
    windows = [window(each.segmentation, size) for each in instances if each.segmentation is not None]
    filled = [each for each in windows if each[2].size]
    if not windows:
        return one  # where their masks overlap is not known, and so the area is not
    x, y, mask = _joined(filled or windows[:1])
    like = next(each.segmentation for each in instances if each.segmentation is not None)
    crops = [each.probability_crop() for each in instances if each.probabilities is not None]
    return replace(
        one,
        area=int(mask.sum()),
        segmentation=_encoded(like, (x, y, mask), size),
        probabilities=encode_probabilities(*_joined(crops)) if len(crops) == len(filled) > 0 else None,
    )


def split_parts(instance: Instance, size: Size, label: str) -> tuple[Instance, ...]:
    """An object of each connected part of a mask, the largest first; of parts that touch at a corner, one.

    Each has the category, the score and the ``grid`` of the whole and the smallest box around its part. A part below
    :data:`LEAST_PART` of the mask stays with the part whose box is nearest. ``mask_score``, ``edge_uncertainty`` and
    ``points`` are None, as in :func:`merged`; probabilities are cut out.

    Args:
        instance: with a mask.
        size: the image's (height, width).
        label: what the object is called, for errors.

    Raises:
        InvalidRequest: it has no mask, or one part alone.
    """
    if instance.segmentation is None:
        raise InvalidRequest(
            f"split: {label!r} has no mask, and a box alone has no parts. Predict with masks (task=instances).",
            field="split",
            value=label,
        )
    parts = _parts(instance.segmentation, size)
    if len(parts) < 2:
        found = "one connected part" if parts else "an empty mask"
        raise InvalidRequest(
            f"split: {label!r} has {found}, so there is nothing to split; parts below {100 * LEAST_PART:g} % of its "
            "mask do not count.",
            field="split",
            limit=2,
            value=len(parts),
        )
    return tuple(_part(instance, part, size) for part in parts)


def count_parts(instance: Instance, size: Size) -> int | None:
    """How many objects :func:`split_parts` would make; None without a mask, 0 of an empty one."""
    if instance.segmentation is None:
        return None
    return len(_parts(instance.segmentation, size))


def _parts(segmentation: Segmentation, size: Size) -> list[Window]:
    x, y, mask = window(segmentation, size)
    return connected_parts(mask, x, y, least=LEAST_PART)


def _part(instance: Instance, part: Window, size: Size) -> Instance:
    x, y, mask = part
    height, width = mask.shape
    return replace(
        instance,
        bbox=(float(x), float(y), float(width), float(height)),
        area=int(mask.sum()),
        segmentation=None if instance.segmentation is None else _encoded(instance.segmentation, part, size),
        points=None,
        mask_score=None,
        edge_uncertainty=None,
        probabilities=None if instance.probabilities is None else _cut_out(instance.probability_crop(), part),
    )


def _encoded(like: Segmentation, found: Window, size: Size) -> Segmentation | None:
    x, y, mask = found
    return encode_mask("rle" if isinstance(like, dict) else "polygon", mask, x, y, size)


def _joined(windows: Sequence[tuple[int, int, NDArray[Pixel]]]) -> tuple[int, int, NDArray[Pixel]]:
    """The highest value of several windows, one at least, in the smallest one around them."""
    left, top = min(x for x, _, _ in windows), min(y for _, y, _ in windows)
    right = max(x + crop.shape[1] for x, _, crop in windows)
    bottom = max(y + crop.shape[0] for _, y, crop in windows)
    whole = np.zeros((bottom - top, right - left), dtype=windows[0][2].dtype)
    for x, y, crop in windows:
        place = whole[y - top : y - top + crop.shape[0], x - left : x - left + crop.shape[1]]
        np.maximum(place, crop, out=place)
    return left, top, whole


def _cut_out(crop: Crop, part: Window) -> dict[str, object] | None:
    """The probabilities of a part: its pixels, and those below 0.5 around it; the other parts are gone."""
    left, top, values = crop
    x, y, mask = part
    around = int(np.ceil(_MARGIN * max(mask.shape)))
    x0, y0 = max(left, x - around), max(top, y - around)
    x1 = min(left + values.shape[1], x + mask.shape[1] + around)
    y1 = min(top + values.shape[0], y + mask.shape[0] + around)
    # The part's window lies in the crop, since both are of one mask; an outline may stray from it by a pixel.
    x2, y2, x3, y3 = max(x, x0), max(y, y0), min(x + mask.shape[1], x1), min(y + mask.shape[0], y1)
    if x2 >= x3 or y2 >= y3:
        return None
    cut = values[y0 - top : y1 - top, x0 - left : x1 - left].copy()
    own = np.zeros(cut.shape, dtype=np.bool_)
    own[y2 - y0 : y3 - y0, x2 - x0 : x3 - x0] = mask[y2 - y : y3 - y, x2 - x : x3 - x]
    cut[(cut >= 128) & ~own] = 0
    return encode_probabilities(x0, y0, cut)
