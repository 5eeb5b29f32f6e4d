"""``supervision.Detections`` (https://supervision.roboflow.com/latest/detection/core/)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointrend.exporters.instances import require_instances
from pointrend.structures.prediction import Instance, Prediction


def to_supervision(prediction: Prediction) -> Any:
    """The instances as supervision's annotators, trackers and metrics take them.

    Returns:
        ``supervision.Detections``: ``xyxy`` (N, 4) float32 pixels, ``mask`` (N, height, width) bool or None without
        masks, ``confidence`` (N) float32, ``class_id`` (N) the categories' ids, -1 without one (None where no instance
        has one), and in ``data`` (N) their names as ``class_name`` and, with masks, ``mask_score`` and
        ``edge_uncertainty``, NaN where unknown.

    Raises:
        ImportError: supervision is not installed.
        ValueError: the prediction is semantic.
    """
    try:
        import supervision  # optional
    except ImportError as error:
        raise ImportError("to_supervision needs supervision: pip install supervision") from error

    found = require_instances(prediction, "supervision.Detections")
    boxes = np.array([instance.bbox for instance in found], np.float32).reshape(-1, 4)
    has_masks = all(instance.segmentation is not None for instance in found)
    quality = _quality(found) if has_masks else {}
    return supervision.Detections(
        xyxy=np.hstack((boxes[:, :2], boxes[:, :2] + boxes[:, 2:])),
        mask=prediction.masks() if has_masks else None,
        confidence=np.array([instance.score for instance in found], np.float32),
        class_id=_class_ids(found),
        data={"class_name": np.array([instance.name for instance in found], dtype=str), **quality},
    )


def with_masks(detections: Any, prediction: Prediction) -> Any:
    """The boxes of any detector, as supervision has them, with their masks.

    Args:
        detections: ``supervision.Detections`` that were given as ``boxes``.
        prediction: the answer, with masks.

    Returns:
        the same with ``mask`` (N, height, width) bool, and with ``mask_score`` and ``edge_uncertainty`` (N) in
        ``data``, as :func:`to_supervision` has them.

    Raises:
        ValueError: the prediction is of other boxes, or has no masks.

    Example::

        detections = supervision.Detections.from_ultralytics(result)
        detections = with_masks(detections, client.segment("photo.jpg", boxes=detections))
    """
    found = require_instances(prediction, "supervision.Detections")
    if len(found) != len(detections):
        raise ValueError(f"There are {len(detections)} boxes, but the prediction has {len(found)} instances.")
    return replace(detections, mask=prediction.masks(), data={**detections.data, **_quality(found)})


def _quality(found: Sequence[Instance]) -> dict[str, NDArray[np.float32]]:
    """What each mask says of itself, (N) each; NaN where unknown."""
    return {
        name: np.array([instance.quality().get(name, np.nan) for instance in found], np.float32)
        for name in ("mask_score", "edge_uncertainty")
    }


def _class_ids(found: Sequence[Instance]) -> NDArray[np.int_] | None:
    ids = [instance.category_id for instance in found]
    if ids and all(each is None for each in ids):
        return None
    return np.array([-1 if each is None else each for each in ids], int)
