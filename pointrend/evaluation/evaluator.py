"""Matching detections to ground truth with pycocotools: boxes, masks, and masks with their boundaries.

A category is judged only in images that label it: elsewhere an object without a mask is no proof of a mistake, so
detections of it are left out there.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from pointrend.datasets.ground_truth import GroundTruth
from pointrend.evaluation.average_precision import (
    AREAS,
    MAX_DETECTIONS,
    RECALLS,
    THRESHOLDS,
    CategoryMatches,
    DetectionMatches,
)
from pointrend.evaluation.boundary import BoundaryEval
from pointrend.structures.prediction import Instance, Prediction

Predictions = Mapping[int, Prediction]  # by image id
ImageInstances = Sequence[tuple[int, Instance]]  # image id and what was found there


@dataclass(frozen=True, slots=True)
class MaskMatches:
    """The masks of one head, judged by mask IoU and by the smaller one of it and Boundary IoU."""

    mask: DetectionMatches
    boundary: DetectionMatches


class Evaluator:
    """Judges predictions against one ground truth, which is prepared once.

    Args:
        truth: images, objects and categories.
    """

    def __init__(self, truth: GroundTruth) -> None:
        self.truth = truth
        # pycocotools takes the id 0 for "not matched", so objects are numbered from 1.
        self._objects = self._coco(
            {
                "id": index,
                "image_id": item.image_id,
                "category_id": item.category_id,
                "bbox": list(item.bbox),
                "area": item.area,
                "segmentation": item.segmentation,
                "iscrowd": int(item.crowd),
            }
            for index, item in enumerate(truth.objects, 1)
        )

    def boxes(self, predictions: Predictions) -> DetectionMatches:
        """Match by the overlap of boxes; their sizes are those of the boxes."""
        found = self._found(predictions)
        areas = [instance.bbox[2] * instance.bbox[3] for _, instance in found]
        return self._run(COCOeval(self._objects, self._results(found, areas), iouType="bbox"))

    def masks(self, predictions: Predictions) -> MaskMatches:
        """Match by the overlap of masks, and by that and the overlap of boundaries; sizes are those of the masks.

        Raises:
            ValueError: a prediction was made without masks.
        """
        found = self._found(predictions)
        if any(instance.segmentation is None for _, instance in found):
            raise ValueError("These predictions carry no masks: they were made with masks=none.")
        results = self._results(found, [float(instance.area or 0) for _, instance in found])
        return MaskMatches(
            self._run(COCOeval(self._objects, results, iouType="segm")), self._run(BoundaryEval(self._objects, results))
        )

    def _found(self, predictions: Predictions) -> ImageInstances:
        judged = {category.id for category in self.truth.categories}
        return [
            (image.id, instance)
            for image in self.truth.images
            for instance in predictions[image.id].instances
            if instance.category_id in judged and image.labels(instance.category_id)
        ]

    def _results(self, found: ImageInstances, areas: Sequence[float]) -> COCO:
        return self._coco(
            {
                "id": index,
                "image_id": image_id,
                "category_id": instance.category_id,
                "bbox": list(instance.bbox),
                "area": area,
                "score": instance.score,
                "segmentation": instance.segmentation,
                "iscrowd": 0,
            }
            for index, ((image_id, instance), area) in enumerate(zip(found, areas, strict=True), 1)
        )

    def _coco(self, annotations: Any) -> COCO:
        coco = COCO()
        coco.dataset = {
            "images": [{"id": image.id, "height": image.height, "width": image.width} for image in self.truth.images],
            "categories": [{"id": category.id, "name": category.name} for category in self.truth.categories],
            "annotations": list(annotations),
        }
        with _silence():
            coco.createIndex()
        return coco

    def _run(self, evaluator: COCOeval) -> DetectionMatches:
        evaluator.params.maxDets = [MAX_DETECTIONS]
        evaluator.params.iouThrs = THRESHOLDS
        evaluator.params.recThrs = RECALLS
        evaluator.params.areaRng = [list(limits) for limits in AREAS.values()]
        evaluator.params.areaRngLbl = list(AREAS)
        with _silence():
            evaluator.evaluate()
        images = len(self.truth.images)
        # COCOeval lists images within areas within categories, categories by ascending id.
        ids = tuple(int(number) for number in evaluator.params.catIds)
        rows = [evaluator.evalImgs[start : start + images] for start in range(0, len(evaluator.evalImgs), images)]
        by_area = {
            name: tuple(CategoryMatches.join(row) for row in rows[index :: len(AREAS)])
            for index, name in enumerate(AREAS)
        }
        return DetectionMatches(ids, by_area)


def _silence() -> contextlib.AbstractContextManager[Any]:
    """pycocotools prints its progress."""
    return contextlib.redirect_stdout(io.StringIO())
