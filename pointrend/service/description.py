"""What the served model says of itself: to whoever asks for ``{"describe": true}``, and to the server's management."""

from __future__ import annotations

from typing import Any

from pointrend.images.formats import FORMATS as IMAGE_FORMATS
from pointrend.images.limits import ImageLimits
from pointrend.inference.base import Segmenter
from pointrend.structures.option_combinations import FORMATS
from pointrend.structures.options import schema


def describe(segmenter: Segmenter[Any], limits: ImageLimits, max_response_bytes: int) -> dict[str, Any]:
    """Name, categories, mask heads, engine, limits and options of a model.

    Args:
        segmenter: the loaded model.
        limits: what an image may cost here.
        max_response_bytes: the largest answer that is sent here.
    """
    info = segmenter.info
    heads = [name for name, carried in (("point", True), ("conv", segmenter.has_conv_head)) if carried]
    return {
        "name": info.name,
        "version": info.version,
        "description": info.description,
        "licence": info.licence,
        "categories": [{"id": category.id, "name": category.name} for category in info.categories],
        "reliable": list(info.reliable),
        "often_missed": list(info.often_missed),
        "engine": segmenter.engine,
        "mask_heads": heads,
        "refines_points": segmenter.has_points,
        "takes_boxes": segmenter.takes_boxes,
        "limits": {
            "max_image_bytes": limits.max_bytes,
            "max_image_pixels": limits.max_pixels,
            "max_image_side": limits.max_side,
            "max_image_memory": limits.max_memory,
            "max_response_bytes": max_response_bytes,
            "image_formats": list(IMAGE_FORMATS),
        },
        "tasks": {task: list(FORMATS[task]) for task in segmenter.tasks},
        "options": schema(),
    }
