"""Predictions of supervision's detections: the way back, and what supervision's own tools have done between."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import pointrend
from pointrend.exporters import from_supervision, to_coco, to_supervision
from pointrend.images.inputs import pixels
from pointrend.structures.options import Options
from pointrend.structures.prediction import Prediction

pytestmark = pytest.mark.filterwarnings("ignore:OpenCV:UserWarning")  # supervision's, once it is imported
COFFEE = Path(__file__).parents[1] / "demo" / "coffee.png"


@pytest.fixture(scope="module")
def found() -> Prediction:
    return pointrend.load("demo")(pixels(COFFEE), Options(score_threshold=0.2))


def size(prediction: Prediction) -> tuple[int, int]:
    return prediction.height, prediction.width


def test_there_and_back_is_the_same(found: Prediction) -> None:
    back = from_supervision(to_supervision(found), size(found))
    assert len(back.instances) == len(found.instances) > 1
    for one, two in zip(found.instances, back.instances, strict=True):
        assert (two.category_id, two.category, two.area) == (one.category_id, one.category, one.area)
        assert two.segmentation == one.segmentation
        assert two.bbox == pytest.approx(one.bbox, abs=1e-3)
        assert (two.score, two.mask_score) == pytest.approx(
            (one.score, one.mask_score), abs=1e-4
        )  # four digits are kept
    assert (
        Prediction.from_dict(replace(back, model=found.model, timing_ms=found.timing_ms).to_dict()).task == "instances"
    )


def test_what_supervision_filtered_goes_on_as_coco(found: Prediction) -> None:
    detections = to_supervision(found)
    best = detections[detections.confidence >= np.sort(detections.confidence)[-1]].with_nms(0.5)
    results = to_coco(from_supervision(best, size(found)), 7)
    assert [each["category_id"] for each in results] == [found.instances[0].category_id]
    assert results[0]["segmentation"] == found.instances[0].segmentation


def test_other_detectors_detections() -> None:
    import supervision

    plain = supervision.Detections(xyxy=np.array([[1, 2, 11, 22]], np.float32))
    (one,) = from_supervision(plain, (30, 40)).instances
    assert (one.category_id, one.category, one.score, one.segmentation) == (None, None, 1.0, None)
    assert one.bbox == (1, 2, 10, 20)
    mask = np.zeros((2, 30, 40), bool)
    mask[0, 3:5, 6:9] = True
    several = supervision.Detections(xyxy=np.ones((2, 4), np.float32), class_id=np.array([2, -1]), mask=mask)
    first, second = from_supervision(several, (30, 40), [{"id": 2, "name": "cat"}]).instances
    assert (first.category, first.area, second.category, second.area) == ("cat", 6, None, 0)
    assert np.array_equal(first.mask(), mask[0])
    with pytest.raises(ValueError, match="The category 2 has no name"):
        from_supervision(several, (30, 40))
    with pytest.raises(ValueError, match=r"not of the size \(31, 40\)"):
        from_supervision(several, (31, 40))
    assert from_supervision(supervision.Detections.empty(), (3, 4)).instances == ()
