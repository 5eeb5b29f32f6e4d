"""What every exporter asks of a prediction."""

from __future__ import annotations

import math
from collections.abc import Sequence
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


def least_certain_first(instances: Sequence[Instance]) -> list[tuple[int, Instance]]:
    """Instances in the order in which to correct them, each with its number, from 1, in the given order.

    By ascending ``mask_score``; those without one come last, as they are.
    """
    return sorted(
        enumerate(instances, start=1), key=lambda each: math.inf if each[1].mask_score is None else each[1].mask_score
    )


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
