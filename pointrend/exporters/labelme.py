"""LabelMe's JSON (https://github.com/wkentaro/labelme, ``labelme/_label_file.py``), one file an image."""

from __future__ import annotations

import base64
from typing import Any

from pointrend.exporters.instances import least_certain_first, outlines, require_instances
from pointrend.structures.prediction import Instance, Prediction

FORMAT_VERSION = "5.5.0"


def to_labelme(prediction: Prediction, image_path: str, image: bytes | None = None) -> dict[str, Any]:
    """What LabelMe opens beside an image.

    Each part of a mask is a polygon, since LabelMe's polygons have no parts; those of one instance share its
    ``group_id``, its number from the best score down. The least certain masks come first: whoever corrects them begins
    there. An instance without a mask is a rectangle.

    Args:
        prediction: its task ``instances`` or ``detection``.
        image_path: the image's path, relative to the JSON file.
        image: the image's file, to be carried in the JSON; LabelMe reads ``image_path`` where it is left out.

    Raises:
        ValueError: the prediction is semantic.
    """
    shapes: list[dict[str, Any]] = []
    for number, instance in least_certain_first(require_instances(prediction, "LabelMe")):
        x, y, width, height = instance.bbox
        if instance.segmentation is None:
            kind, parts = "rectangle", [[x, y, x + width, y + height]]
        else:
            kind, parts = "polygon", outlines(instance, (prediction.height, prediction.width))
        shapes += [
            {
                "label": instance.name,
                "points": [[round(px, 2), round(py, 2)] for px, py in zip(part[::2], part[1::2], strict=True)],
                "group_id": number,
                "description": _description(instance),
                "shape_type": kind,
                "flags": {},
                "mask": None,
            }
            for part in parts
        ]
    return {
        "version": FORMAT_VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": image_path,
        "imageData": None if image is None else base64.b64encode(image).decode("ascii"),
        "imageHeight": prediction.height,
        "imageWidth": prediction.width,
    }


def _description(instance: Instance) -> str:
    """``score 0.9123, mask_score 0.8400, edge_uncertainty 0.1000``."""
    numbers = {"score": instance.score, **instance.quality()}
    return ", ".join(f"{name} {value:.4f}" for name, value in numbers.items())
