"""A prediction as regions of Label Studio's canvas, and a region that an annotator drew as a box.

Coordinates on the canvas are percent of the image's width and height, from 0 to 100.
"""

from __future__ import annotations

import math
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from pointrend.errors import InvalidRequest
from pointrend.exporters.instances import outlines
from pointrend.integrations.label_studio.brush import encode_brush
from pointrend.integrations.label_studio.labelling import BRUSH, RECTANGLE, Tool
from pointrend.structures.prediction import Instance, Prediction

Region = dict[str, Any]
LEAST_PART = 0.02


def to_regions(prediction: Prediction, tool: Tool, label: str | None = None) -> list[Region]:
    """What was found, as a tool draws it.

    With polygons each part of a mask is a region of its own, as Label Studio's polygons have no parts; those below
    :data:`LEAST_PART` of the mask are left out, since an annotator would have to delete each.

    Args:
        prediction: its task ``instances``, or ``detection`` where the tool draws rectangles.
        tool: that draws; objects whose category it has no label for are left out.
        label: of every region, whatever its category; None for the category's.
    """
    regions: list[Region] = []
    for instance in prediction.instances:
        named = label or tool.labels.get(instance.name)
        if named is not None:
            regions += _regions(instance, prediction, tool, named)
    return regions


def _regions(instance: Instance, prediction: Prediction, tool: Tool, label: str) -> list[Region]:
    width, height = prediction.width, prediction.height
    values: list[dict[str, Any]]
    if tool.kind == RECTANGLE:
        x, y, box_width, box_height = instance.bbox
        corner = {"x": 100 * x / width, "y": 100 * y / height, "rotation": 0}
        values = [corner | {"width": 100 * box_width / width, "height": 100 * box_height / height}]
    elif tool.kind == BRUSH:
        mask = instance.mask((height, width))
        values = [{"format": "rle", "rle": encode_brush(mask)}] if mask.any() else []
    else:
        parts = [np.reshape(each, (-1, 2)) for each in outlines(instance, (height, width))]
        least = LEAST_PART * sum(map(_area, parts))
        scale = np.array((100 / width, 100 / height))
        values = [{"points": (part * scale).tolist(), "closed": True} for part in parts if _area(part) >= least]
    return [
        {
            "id": uuid4().hex[:10],
            "from_name": tool.name,
            "to_name": tool.image,
            "type": tool.kind,
            "original_width": width,
            "original_height": height,
            "image_rotation": 0,
            "score": round(instance.score, 4),
            "value": value | {tool.kind: [label]},
        }
        for value in values
    ]


def _area(ring: NDArray[np.float64]) -> float:
    """Of a polygon (N, 2): its pixels."""
    x, y = ring.T
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2


def to_box(region: Any) -> tuple[float, float, float, float]:
    """The box of a region that an annotator drew: (x, y, width, height) in percent.

    A turned rectangle, an ellipse and a polygon stand for the box around them.

    Raises:
        InvalidRequest: it is none of these, or has no such box.
    """
    value = region.get("value") if isinstance(region, dict) else None
    if not isinstance(value, dict):
        raise InvalidRequest("The region that was drawn has no value.", field="context")
    try:
        if "points" in value:
            xs, ys = zip(*((float(x), float(y)) for x, y in value["points"]), strict=True)
            left, right, top, bottom = min(xs), max(xs), min(ys), max(ys)
        elif "radiusX" in value:
            across, down = float(value["radiusX"]), float(value["radiusY"])
            left, right = float(value["x"]) - across, float(value["x"]) + across
            top, bottom = float(value["y"]) - down, float(value["y"]) + down
        else:
            left, top, right, bottom = _around(region, value)
    except (KeyError, TypeError, ValueError) as error:
        kind = str(region.get("type"))[:40]
        raise InvalidRequest(
            f"A mask is found in a rectangle, an ellipse or a polygon, not in {kind!r}: draw one of these.",
            field="context",
            value=kind,
        ) from error
    left, top, right, bottom = max(left, 0.0), max(top, 0.0), min(right, 100.0), min(bottom, 100.0)
    if not (math.isfinite(left + top + right + bottom) and right > left and bottom > top):
        raise InvalidRequest("The region that was drawn lies outside the photo; draw it on the photo.", field="context")
    return left, top, right - left, bottom - top


def _around(region: dict[str, Any], value: dict[str, Any]) -> tuple[float, float, float, float]:
    """The box around a rectangle that is turned about its top left corner, clockwise."""
    x, y, width, height = (float(value[name]) for name in ("x", "y", "width", "height"))
    turned = math.radians(float(value.get("rotation") or 0))
    # Percent of width and of height are not of one length: turn in pixels.
    across, down = float(region.get("original_width") or 100), float(region.get("original_height") or 100)
    corners = [
        (
            x + (a * across * math.cos(turned) - b * down * math.sin(turned)) / across,
            y + (a * across * math.sin(turned) + b * down * math.cos(turned)) / down,
        )
        for a, b in ((0.0, 0.0), (width, 0.0), (0.0, height), (width, height))
    ]
    xs, ys = zip(*corners, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def drawn_label(region: Any) -> str | None:
    """The label that an annotator had chosen, if any."""
    value = region.get("value") if isinstance(region, dict) else None
    for name, labels in (value or {}).items():
        if name.endswith("labels") and isinstance(labels, list) and labels and isinstance(labels[0], str):
            return str(labels[0])
    return None
