"""What the browser is told of a photo and of what was found in it, so that it draws everything by itself."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

from PIL import Image

from gradio_app.result import Picture, Result
from pointrend.structures.prediction import Instance
from pointrend.visualize.palettes import category_colour, colour

JPEG_QUALITY = 90
Payload = dict[str, Any]


def photo_payload(name: str, shape: tuple[int, ...], screen: Picture) -> Payload:
    """A photo before anything is found in it.

    Args:
        name: of its file.
        shape: (H, W, ...), its height and width in pixels come first.
        screen: (h, w, 3) uint8 RGB, as it is shown.
    """
    return {
        "kind": "photo",
        "name": name,
        "size": [shape[1], shape[0]],
        "screen": [screen.shape[1], screen.shape[0]],
        "photo": data_url(screen),
    }


def result_payload(
    result: Result, identity: str, shown: Sequence[str], *, with_photo: bool, categories: Sequence[str] = ()
) -> Payload:
    """A result for the browser's viewer; masks and boxes are in the pixels of the shown photo.

    Args:
        result: what was found.
        identity: by which the page asks for it again.
        shown: names of the categories that the model shows by default; empty for all.
        with_photo: whether the browser has no photo of it yet.
        categories: names of all categories that the model knows, which an object may be given.
    """
    prediction = result.prediction
    about = photo_payload(result.file_name, (prediction.height, prediction.width), result.screen) if with_photo else {}
    return {
        **about,
        "kind": "result",
        "id": identity,
        "isMap": result.is_map,
        "drawn": result.drawn,
        "edits": len(result.edits),
        "origins": list(result.origins),
        "categories": list(categories),
        "seconds": sum(prediction.timing_ms.values()) / 1000,
        "reliable": list(shown),
        "objects": [_object(result, index) for index in range(len(prediction.instances))],
    }


def data_url(picture: Picture) -> str:
    """A picture as a JPEG in a ``data:`` URL: nothing of it lies on the disk, and it comes with the answer."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=JPEG_QUALITY)  # untagged: browsers take it for sRGB, as it is
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def _object(result: Result, index: int) -> Payload:
    instance, drawn = result.prediction.instances[index], result.scaled.instances[index]
    _, _, width, height = instance.bbox
    return {
        "label": result.labels[index],
        "category": instance.name,
        "score": round(instance.score, 4),
        "colour": colour(index),
        "categoryColour": category_colour(instance.category_id or 0, instance.name),
        "bbox": [round(value, 2) for value in drawn.bbox],
        "size": [round(width), round(height)],
        "share": _area(instance) / (result.prediction.width * result.prediction.height),
        "mask": drawn.segmentation,
    }


def _area(instance: Instance) -> float:
    return instance.bbox[2] * instance.bbox[3] if instance.area is None else float(instance.area)
