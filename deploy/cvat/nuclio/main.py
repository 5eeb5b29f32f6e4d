"""What nuclio runs for CVAT: an image in, the objects that a PointRend server finds in it out.

CVAT sends ``{"image": base64, "threshold": 0.5}`` and takes a list of shapes, each with its label's name. A mask is the
pixels of its window, row by row, and the window's corners; beside it lies the outline, for those who ask CVAT for
polygons.
"""

from __future__ import annotations

import base64
import json
import os
from typing import Any

import numpy as np

from pointrend.client import Client
from pointrend.errors import RequestError
from pointrend.exporters.instances import outlines, require_instances
from pointrend.masks.decode import window
from pointrend.masks.polygons import join
from pointrend.structures.prediction import Instance

DEFAULT_THRESHOLD = 0.5


def init_context(context: Any) -> None:
    """Connect to the server of ``POINTREND_URL``, with the secret of ``POINTREND_TOKEN``."""
    url = os.environ["POINTREND_URL"]
    context.user_data.client = Client(url, token=os.environ.get("POINTREND_TOKEN") or None)
    context.logger.info(f"Predictions come from {url}")


def handler(context: Any, event: Any) -> Any:
    """Answer one image of CVAT's: 200 with shapes, or the server's status and what it said."""
    try:
        body = event.body if isinstance(event.body, dict) else json.loads(event.body)
        image = base64.b64decode(body["image"], validate=True)
        threshold = float(body.get("threshold", DEFAULT_THRESHOLD))
    except (KeyError, TypeError, ValueError) as error:
        return _answer(context, 400, f"The request must be JSON with the field image, in base64: {error!r}")
    try:
        prediction = context.user_data.client.segment(image, score_threshold=threshold)
    except RequestError as error:
        context.logger.error(f"{error.code}: {error}")
        return _answer(context, error.status or 502, str(error))
    size = prediction.height, prediction.width
    shapes = [_shape(instance, size) for instance in require_instances(prediction, "CVAT") if instance.area]
    return _answer(context, 200, shapes)


def _shape(instance: Instance, size: tuple[int, int]) -> dict[str, Any]:
    """An object as CVAT takes it; its mask has pixels."""
    assert instance.segmentation is not None  # masks are what the server gives by default
    x, y, mask = window(instance.segmentation, size)
    height, width = mask.shape
    rings = [np.reshape(part, (-1, 2)) for part in outlines(instance, size)]
    return {
        "confidence": str(instance.score),
        "label": instance.name,
        "type": "mask",
        "points": join(rings[0], rings[1:]).ravel().tolist(),
        "mask": [*mask.astype(int).ravel().tolist(), x, y, x + width - 1, y + height - 1],
    }


def _answer(context: Any, status: int, body: Any) -> Any:
    return context.Response(body=json.dumps(body), headers={}, content_type="application/json", status_code=status)
