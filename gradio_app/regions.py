"""What a semantic model answers, as the page shows objects: every category that is seen is one region.

So the filter, the table, the views and the downloads work for both kinds of model.
"""

from __future__ import annotations

from dataclasses import replace

from pycocotools import mask as coco_mask

from pointrend.structures.prediction import Instance, Prediction, Segment


def regions(prediction: Prediction) -> Prediction:
    """A prediction of the task ``semantic`` with an instance a segment, largest first.

    A semantic model is not asked how sure it is of a region: their score is 1, so that no threshold hides them.
    """
    return replace(prediction, task="instances", instances=tuple(map(_region, prediction.segments)), segments=())


def _region(segment: Segment) -> Instance:
    x, y, width, height = coco_mask.toBbox(segment.segmentation).tolist()
    return Instance(
        category_id=segment.category_id,
        category=segment.category,
        score=1.0,
        bbox=(x, y, width, height),
        area=segment.area,
        segmentation=segment.segmentation,
    )
