"""Edits as a browser sends them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gradio_app.edits import apply_edit
from gradio_app.exports import EXPORTS
from gradio_app.payload import result_payload
from gradio_app.result import Result, ViewSelection
from pointrend.errors import InvalidRequest
from pointrend.masks.rle import encode_crop
from pointrend.structures.prediction import Prediction, Segment
from tests.gradio_app.test_result import make

CATEGORIES = [{"id": 1, "name": "person"}, {"id": 17, "name": "cat"}, {"id": 18, "name": "dog"}]


def test_edits_are_applied_in_order_and_undone():
    result = make()
    trees = [{"rename": [1], "category": "cat"}, {"merge": [0, 2]}, {"delete": [1]}]
    labels = [("person 1", "cat 1", "person 2"), ("person 1", "cat 1"), ("person 1",)]
    for tree, expected in zip(trees, labels, strict=True):
        result = apply_edit(result, tree, CATEGORIES)
        assert result.labels == expected
    with pytest.raises(InvalidRequest, match="'person 1' has one connected part"):
        apply_edit(result, {"split": 0}, CATEGORIES)
    for expected in (*labels[-2::-1], make().labels):
        result = apply_edit(result, {"undo": True}, CATEGORIES)
        assert result.labels == expected
    assert result.prediction == make().prediction


def test_the_browser_is_told_where_each_object_was_and_what_it_may_be_called():
    result = apply_edit(make(), {"delete": [0]}, CATEGORIES)
    payload = json.loads(json.dumps(result_payload(result, "id", [], with_photo=False, categories=["person", "cat"])))
    assert (payload["edits"], payload["drawn"], payload["origins"]) == (1, 0, [1, 2])
    assert payload["categories"] == ["person", "cat"]


def test_every_download_is_of_the_corrected_result():
    before = make()
    after = apply_edit(before, {"rename": [1], "category": "cat"}, CATEGORIES)
    choice = ViewSelection(threshold=0.1)
    for export in EXPORTS:
        changed = export.content(after, choice, CATEGORIES) != export.content(before, choice, CATEGORIES)
        assert changed == (export.key != "effect"), export.key  # which has neither names nor colours
    coco = json.loads(next(each for each in EXPORTS if each.key == "coco").content(after, choice, CATEGORIES))
    assert sorted(each["category_id"] for each in coco["annotations"]) == [1, 1, 17]


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        (None, "edit must be an object, not None"),
        ([], "edit must be an object"),
        ({}, "must be delete, rename, merge or split"),
        ({"undo": True}, "There is no correction to undo"),
        ({"delete": []}, "delete needs an object or more"),
        ({"delete": [3]}, "delete names object 3, but there are 3"),
        ({"delete": ["0"]}, r"delete\[0\] must be a whole number"),
        ({"delete": list(range(2000))}, "delete has 2000 entries; at most 1000"),
        ({"merge": [0, 0]}, "named twice"),
        ({"split": 1.5}, "split must be a whole number"),
        ({"rename": [0], "category": "unicorn"}, "category must be one of the 3 that the model knows, not 'unicorn'"),
        ({"rename": [0], "category": {"name": "cat"}}, "category must be one of the 3"),
        ({"rename": [0], "category_id": 17}, "category must be one of the 3"),
    ],
)
def test_whatever_a_stranger_sends_is_checked(tree, said):
    with pytest.raises(InvalidRequest, match=said):
        apply_edit(make(), tree, CATEGORIES)


def test_the_regions_of_a_semantic_model_are_not_corrected():
    result = make()
    size = result.prediction.height, result.prediction.width
    sky = Segment(1, "sky", 100, encode_crop(np.ones((10, 10), dtype=bool), 0, 0, *size))
    prediction = Prediction(size[1], size[0], (), {"name": "m", "version": "1"}, task="semantic", segments=(sky,))
    regions = Result.of("p.png", result.data, prediction)
    with pytest.raises(InvalidRequest, match="regions of a semantic model are no single objects"):
        apply_edit(regions, {"delete": [0]}, CATEGORIES)
