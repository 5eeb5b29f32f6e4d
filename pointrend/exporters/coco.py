"""COCO's formats (https://cocodataset.org/#format-data and #format-results)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pointrend.exporters.instances import least_certain_first, require_instances, run_lengths
from pointrend.structures.prediction import UNNAMED, Instance, Prediction


@dataclass(frozen=True, slots=True)
class CocoImage:
    """One image of a data set.

    Attributes:
        id: unique in the data set; a number, unless others call it otherwise.
        file_name: its path, relative to the folder of the images.
        prediction: what was found in it.
    """

    id: int | str
    file_name: str
    prediction: Prediction


def unnamed_id(categories: Sequence[Mapping[str, Any]]) -> int:
    """The id that objects without a category get: 0, or the next one where 0 is taken."""
    ids = {int(category["id"]) for category in categories}
    return max(ids) + 1 if 0 in ids else 0


def to_coco(prediction: Prediction, image_id: int, *, boxes: bool = True, unnamed: int = 0) -> list[dict[str, Any]]:
    """COCO results, for ``pycocotools.coco.COCO.loadRes``.

    Args:
        prediction: its masks are written as run lengths.
        image_id: the image's id in the data set.
        boxes: write ``bbox``. pycocotools takes a result that has one for a box, and counts the box's area instead of
            the mask's: leave boxes out to evaluate masks.
        unnamed: the ``category_id`` of objects without a category; see :func:`unnamed_id`.

    Raises:
        ValueError: the prediction is semantic, or boxes are left out and there are no masks.
    """
    size = prediction.height, prediction.width
    results = []
    for instance in require_instances(prediction, "COCO"):
        result: dict[str, Any] = {
            "image_id": image_id,
            "category_id": _category_id(instance, unnamed),
            "score": round(instance.score, 4),
            **instance.quality(),
        }
        if boxes:
            result["bbox"] = [round(value, 2) for value in instance.bbox]
        segmentation = run_lengths(instance, size)
        if segmentation is not None:
            result["segmentation"] = segmentation
        elif not boxes:
            raise ValueError("A COCO result needs a mask or a box; this prediction has no masks.")
        results.append(result)
    return results


def coco_dataset(images: Iterable[CocoImage], categories: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A COCO data set whose annotations are what was found, each with its ``score`` and what is known of its mask.

    Objects without a category are of one more, ``object``.
    Of an image's annotations those of the least certain masks come first: whoever corrects them begins there.
    Without masks an annotation's area is its box's and its segmentation is empty.

    Args:
        images: the images.
        categories: ``{"id": ..., "name": ...}`` of every category that the model knows.

    Raises:
        ValueError: a prediction is semantic.
    """
    unnamed = unnamed_id(categories)
    described: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image in images:
        size = image.prediction.height, image.prediction.width
        described.append({"id": image.id, "file_name": image.file_name, "height": size[0], "width": size[1]})
        for _, instance in least_certain_first(require_instances(image.prediction, "COCO")):
            _, _, width, height = instance.bbox
            annotations.append(
                {
                    "id": len(annotations) + 1,  # pycocotools takes 0 for no match
                    "image_id": image.id,
                    "category_id": _category_id(instance, unnamed),
                    "bbox": [round(value, 2) for value in instance.bbox],
                    "area": round(width * height, 2) if instance.area is None else instance.area,
                    "segmentation": run_lengths(instance, size) or [],
                    "iscrowd": 0,
                    "score": round(instance.score, 4),
                    **instance.quality(),
                }
            )
    named = [{"id": category["id"], "name": category["name"]} for category in categories]
    if any(annotation["category_id"] == unnamed for annotation in annotations):
        named.append({"id": unnamed, "name": UNNAMED})
    return {"images": described, "annotations": annotations, "categories": named}


def _category_id(instance: Instance, unnamed: int) -> int:
    return unnamed if instance.category_id is None else instance.category_id
