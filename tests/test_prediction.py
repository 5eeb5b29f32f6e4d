"""What the served API answers, written and read again."""

import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from pointrend.prediction import Instance, Prediction, Segment, decode_mask

SIZE = (6, 8)
MASK = np.zeros(SIZE, bool)
MASK[2:5, 3:7] = True
RLE = coco_mask.encode(np.asfortranarray(MASK.astype(np.uint8)))
RLE["counts"] = RLE["counts"].decode()
POLYGON = [[3.0, 2.0, 7.0, 2.0, 7.0, 5.0, 3.0, 5.0]]
MODEL = {"name": "m", "version": "1"}


def instance(area=12, segmentation=RLE):
    return Instance(17, "cat", 0.75, (3.0, 2.0, 4.0, 3.0), area, segmentation)


@pytest.mark.parametrize(
    "prediction",
    [
        Prediction(8, 6, (instance(),), MODEL, {"decode": 1.0}),
        Prediction(8, 6, (instance(segmentation=POLYGON),), MODEL),
        Prediction(8, 6, (instance(area=None, segmentation=None),), MODEL, task="detection"),
        Prediction(8, 6, (), MODEL, task="semantic", segments=(Segment(17, "cat", 12, RLE),)),
        Prediction(8, 6, (), MODEL, task="semantic", segments=(Segment(17, "cat", 12, None),)),
    ],
    ids=["rle", "polygon", "detection", "semantic", "semantic without masks"],
)
def test_json_and_back(prediction):
    assert Prediction.from_dict(json.loads(json.dumps(prediction.to_dict()))) == prediction


def test_detections_have_neither_mask_nor_area():
    assert set(instance(None, None).to_dict()) == {"category_id", "category", "score", "bbox"}


def test_a_semantic_answer_has_segments_only():
    tree = Prediction(8, 6, (), MODEL, task="semantic").to_dict()
    assert "instances" not in tree
    assert tree["segments"] == []


def test_run_lengths_and_polygons_are_the_same_mask():
    assert np.array_equal(instance().mask(), MASK)
    assert np.array_equal(instance(segmentation=POLYGON).mask(SIZE), MASK)
    assert np.array_equal(Segment(17, "cat", 12, RLE).mask(), MASK)
    assert not decode_mask([], SIZE).any()


@pytest.mark.parametrize("found", [instance(12, None), Segment(17, "cat", 12, None)])
def test_without_a_mask_asking_for_one_says_so(found):
    with pytest.raises(ValueError, match="masks=none"):
        found.mask()


def test_polygons_need_the_photos_size():
    with pytest.raises(ValueError, match="size"):
        instance(segmentation=POLYGON).mask()
