"""Objects without a category, as boxes that were given without one are answered: in every format, or refused by it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from pointrend.errors import InvalidPrediction
from pointrend.exporters import coco_dataset, to_coco, to_labelme, to_mask_pngs, to_supervision, to_yolo
from pointrend.exporters.coco import CocoImage, unnamed_id
from pointrend.masks.rle import encode_crop
from pointrend.structures.prediction import Instance, Prediction
from pointrend.visualize.label_map import legend

MASK = encode_crop(np.ones((10, 20), np.bool_), 5, 5, 30, 40)
UNNAMED = Instance(None, None, 0.75, (5, 5, 20, 10), 200, MASK)
CAT = replace(UNNAMED, category_id=17, category="cat")
PREDICTION = Prediction(40, 30, (UNNAMED, CAT, UNNAMED), {"name": "m", "version": "1"})


def test_it_survives_json_with_both_fields_null_and_not_with_one() -> None:
    tree = json.loads(json.dumps(PREDICTION.to_dict()))
    assert (tree["instances"][0]["category_id"], tree["instances"][0]["category"]) == (None, None)
    assert Prediction.from_dict(tree).instances == PREDICTION.instances
    for field, value in (("category", "cat"), ("category_id", 17)):
        with pytest.raises(InvalidPrediction, match="category"):
            Instance.from_dict({**tree["instances"][0], field: value})


def test_it_is_called_object_where_a_name_is_needed() -> None:
    assert legend(PREDICTION) == {1: "object 1", 2: "cat 1", 3: "object 2"}
    assert [name for name, _ in to_mask_pngs(PREDICTION)] == ["object-1.png", "cat-1.png", "object-2.png"]
    assert [shape["label"] for shape in to_labelme(PREDICTION, "a.jpg")["shapes"]] == ["object", "cat", "object"]


def test_coco_has_a_category_for_it() -> None:
    known = [{"id": 17, "name": "cat"}]
    data = coco_dataset([CocoImage(1, "a.jpg", PREDICTION)], known)
    assert [each["category_id"] for each in data["annotations"]] == [0, 17, 0]
    assert data["categories"] == [*known, {"id": 0, "name": "object"}]
    assert [each["category_id"] for each in to_coco(PREDICTION, 1)] == [0, 17, 0]
    assert unnamed_id([{"id": 0, "name": "road"}, *known]) == 18
    named = replace(PREDICTION, instances=(CAT,))
    assert coco_dataset([CocoImage(1, "a.jpg", named)], known)["categories"] == known


def test_yolo_refuses_it() -> None:
    with pytest.raises(ValueError, match="needs a category for each object"):
        to_yolo(PREDICTION, [17])


@pytest.mark.filterwarnings("ignore:OpenCV:UserWarning")
def test_supervision_has_no_class_for_it() -> None:
    assert to_supervision(PREDICTION).class_id.tolist() == [-1, 17, -1]
    assert to_supervision(replace(PREDICTION, instances=(UNNAMED,))).class_id is None
