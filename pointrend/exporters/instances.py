"""What every exporter asks of a prediction."""

from __future__ import annotations

from typing import Any

from pointrend.masks.decode import window
from pointrend.masks.polygons import polygons
from pointrend.masks.rle import encode_crop
from pointrend.structures.prediction import Instance, Prediction

Size = tuple[int, int]  # height, width in pixels


def require_instances(prediction: Prediction, what: str) -> tuple[Instance, ...]:
    """The instances of a prediction that is made of them.

    Raises:
        ValueError: it is semantic: its segments are no single objects.
    """
    if prediction.task == "semantic":
        raise ValueError(f"{what} needs instances, but this prediction's task was semantic.")
    return prediction.instances


def outlines(instance: Instance, size: Size) -> list[list[float]]:
    """The mask's polygons, each ``[x0, y0, x1, y1, ...]`` in pixels; none without a mask, or where it is empty."""
    if instance.segmentation is None:
        return []
    if isinstance(instance.segmentation, list):
        return instance.segmentation
    x, y, mask = window(instance.segmentation, size)
    return polygons(mask, x, y) if mask.size else []


def run_lengths(instance: Instance, size: Size) -> dict[str, Any] | None:
    """The mask as COCO's compressed run lengths; None without a mask."""
    if instance.segmentation is None or isinstance(instance.segmentation, dict):
        return instance.segmentation
    x, y, mask = window(instance.segmentation, size)
    return encode_crop(mask, x, y, *size)
