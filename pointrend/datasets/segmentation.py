"""COCO's ways to write a mask, cleaned of what is harmless and turned into compressed run lengths."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pycocotools import mask as coco_mask

from pointrend.datasets.findings import Findings
from pointrend.errors import DataError
from pointrend.masks.rle import decode_crop

FAR = 10  # image sides: what is further outside is no coordinate, and would cost memory to draw


def mask_of(segmentation: Any, height: int, width: int, place: str, findings: Findings) -> dict[str, Any] | None:
    """An annotation's mask, or None where it has no pixel to learn from or to judge by.

    Args:
        segmentation: as JSON gave it.
        height, width: the image's size in pixels.
        place: of the annotation, for the findings.
        findings: receives what was left out, and what cannot be understood.

    Returns:
        ``{"size": [height, width], "counts": str}`` with at least one pixel.
    """
    if segmentation is None or segmentation in ([], {}):
        findings.add("no-mask", place)
        return None
    if isinstance(segmentation, list) and all(isinstance(part, list) for part in segmentation):
        far = FAR * max(height, width)
        parts = [part for part in segmentation if _is_polygon(part) and max(map(abs, part)) <= far]
        if len(parts) < len(segmentation):
            findings.add("part", place)
        if not parts:
            findings.add("no-mask", place)
            return None
        if any(min(part) < 0 or max(part[0::2]) > width or max(part[1::2]) > height for part in parts):
            findings.add("beyond", place)
        segmentation = parts
    try:
        mask = to_rle(segmentation, height, width)
        if isinstance(segmentation, dict):
            decode_crop(mask)  # text is taken as it is: better a refusal here than later
    except (DataError, ValueError, OverflowError) as error:
        findings.add("segmentation", f"{place}: {error}")
        return None
    if not coco_mask.area(mask):
        findings.add("empty-mask", place)
        return None
    return mask


def to_rle(segmentation: Any, height: int, width: int) -> dict[str, Any]:
    """Turn any of COCO's ways to write a mask into compressed run lengths.

    Args:
        segmentation: a list of polygons, each x, y, x, y, ... in pixels, or ``{"size": [height, width], "counts":
            ...}`` with a list of run lengths or compressed ones.
        height, width: the image's size in pixels.

    Returns:
        ``{"size": [height, width], "counts": str}``.

    Raises:
        DataError: it is none of these, or of another size than the image.
    """
    if isinstance(segmentation, dict):
        if segmentation.get("size") != [height, width]:
            raise DataError(f"segmentation has size {segmentation.get('size')}, the image [{height}, {width}].")
        counts = segmentation.get("counts")
        if isinstance(counts, str):
            return {"size": [height, width], "counts": counts}
        if isinstance(counts, list) and all(type(run) is int and run >= 0 for run in counts):
            if sum(counts) != height * width:
                raise DataError(f"the counts of segmentation sum to {sum(counts)}, not to {height * width} pixels.")
            return _text(coco_mask.frPyObjects(segmentation, height, width))
        raise DataError(f"counts of segmentation must be text or a list of run lengths, not {counts!r:.100}.")
    if isinstance(segmentation, list) and segmentation and all(map(_is_polygon, segmentation)):
        return _text(coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width)))
    raise DataError(f"segmentation must be polygons or run lengths, not {segmentation!r:.100}.")


def _is_polygon(value: Any) -> bool:
    return isinstance(value, list) and len(value) >= 6 and len(value) % 2 == 0 and all(map(is_number, value))


def is_number(value: Any) -> bool:
    """Whether JSON gave a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15 and math.isfinite(value)


def _text(mask: Mapping[str, Any]) -> dict[str, Any]:
    return {"size": list(mask["size"]), "counts": mask["counts"].decode("ascii")}
