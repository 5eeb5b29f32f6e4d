"""``supervision.Detections`` (https://supervision.roboflow.com/latest/detection/core/)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointrend.exporters.instances import require_instances
from pointrend.masks.rle import encode_crop
from pointrend.structures.prediction import Instance, Prediction

NO_CLASS = -1  # class_id of an object without a category, beside others that have one


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


def from_supervision(
    detections: Any, size: tuple[int, int], categories: Sequence[Mapping[str, Any]] | None = None
) -> Prediction:
    """A prediction of what any detector, tracker or filter of supervision's holds: the way back of to_supervision().

    Args:
        detections: ``supervision.Detections``. Names come from ``data["class_name"]``; an object without ``class_id``,
            or with -1, has no category; one without ``confidence`` scores 1.
        size: the image's (height, width), which detections without masks do not know.
        categories: ``{"id": ..., "name": ...}`` of every category, to name those that have no ``class_name``.

    Returns:
        in their order, and with ``mask_score`` and ``edge_uncertainty`` where they have them. Masks become run lengths.

    Raises:
        ValueError: masks are of another size, or a category has no name.

    Example::

        tracked = tracker.update_with_detections(to_supervision(prediction))
        coco = to_coco(from_supervision(tracked, (prediction.height, prediction.width)), image_id=1)
    """
    height, width = size
    if detections.mask is not None and detections.mask.shape[1:] != (height, width):
        raise ValueError(f"The masks are of {detections.mask.shape[1:]}, not of the size {(height, width)}.")
    names = {int(each["id"]): str(each["name"]) for each in categories or ()}
    return Prediction(
        width=width,
        height=height,
        instances=tuple(_instance(detections, index, names) for index in range(len(detections))),
        model={},
        timing_ms={},
        task="detection" if detections.mask is None and len(detections) else "instances",
    )


def _instance(detections: Any, index: int, names: Mapping[int, str]) -> Instance:
    x0, y0, x1, y1 = map(float, detections.xyxy[index])
    number = None if detections.class_id is None else int(detections.class_id[index])
    area, segmentation = None, None
    if detections.mask is not None:
        segmentation, area = _encoded(np.asarray(detections.mask[index], np.bool_))
    category = None if number is None or number == NO_CLASS else _category(detections, index, number, names)
    return Instance(
        category_id=None if category is None else number,
        category=category,
        score=1.0 if detections.confidence is None else float(detections.confidence[index]),
        bbox=(x0, y0, x1 - x0, y1 - y0),
        area=area,
        segmentation=segmentation,
        mask_score=_known(detections, "mask_score", index),
        edge_uncertainty=_known(detections, "edge_uncertainty", index),
    )


def _category(detections: Any, index: int, number: int, names: Mapping[int, str]) -> str:
    if "class_name" in detections.data:
        return str(detections.data["class_name"][index])
    if number not in names:
        raise ValueError(f"The category {number} has no name: give categories, or class_name in data.")
    return names[number]


def _known(detections: Any, name: str, index: int) -> float | None:
    """A mask's figure; None where there is none."""
    value = float(detections.data[name][index]) if name in detections.data else math.nan
    return None if math.isnan(value) else value


def _encoded(mask: NDArray[np.bool_]) -> tuple[dict[str, Any], int]:
    """A mask's run lengths and its area, found within its window alone."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return encode_crop(mask[:0, :0], 0, 0, *mask.shape), 0
    x, y = int(columns[0]), int(rows[0])
    crop = mask[y : int(rows[-1]) + 1, x : int(columns[-1]) + 1]
    return encode_crop(crop, x, y, *mask.shape), int(np.count_nonzero(crop))
