"""Corrections of a result: what becomes of masks, boxes, scores and places."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from pointrend.errors import InvalidPrediction, InvalidRequest
from pointrend.masks.encode import encode_mask
from pointrend.masks.probabilities import encode_probabilities
from pointrend.structures.correction_masks import count_parts
from pointrend.structures.corrections import (
    Add,
    Correction,
    Delete,
    Merge,
    Rename,
    Split,
    correct,
    from_tree,
    replay,
    to_tree,
)
from pointrend.structures.model_info import Category
from pointrend.structures.prediction import Instance, Prediction

SIZE = 60, 90
CAT = Category(17, "cat")


def instance(score, *boxes, category="dog", form="rle", **known):
    mask = np.zeros(SIZE, dtype=bool)
    for x, y, width, height in boxes:
        mask[y : y + height, x : x + width] = True
    x0, y0 = min(box[0] for box in boxes), min(box[1] for box in boxes)
    x1, y1 = max(x + w for x, _, w, _ in boxes), max(y + h for _, y, _, h in boxes)
    crop = mask[y0:y1, x0:x1]
    values = np.where(crop, 200, 100).astype(np.uint8)
    return Instance(
        category_id=18,
        category=category,
        score=score,
        bbox=(x0, y0, x1 - x0, y1 - y0),
        area=int(mask.sum()),
        segmentation=encode_mask(form, crop, x0, y0, SIZE),
        points=((x0, y0),),
        mask_score=0.9,
        edge_uncertainty=0.1,
        probabilities=encode_probabilities(x0, y0, values),
        **known,
    )


def prediction(*instances, task="instances"):
    return Prediction(SIZE[1], SIZE[0], instances, {"name": "m", "version": "1"}, task=task)


BENCH = ((2, 2, 20, 20), (40, 5, 10, 30))  # two parts
FOUND = prediction(
    instance(0.9, (60, 40, 10, 10), grid=224), instance(0.8, *BENCH, grid=112), instance(0.5, (45, 30, 20, 15), grid=28)
)


def test_deleted_objects_are_gone_and_the_others_stay_as_they_are():
    done = correct(FOUND, [Delete((0, 2))])
    assert done.prediction.instances == (FOUND.instances[1],)
    assert done.origins == (1,)
    assert replace(done.prediction, instances=()) == replace(FOUND, instances=())


def test_renamed_objects_have_another_category_and_nothing_else():
    done = correct(FOUND, [Rename((1,), CAT)]).prediction
    assert done.instances[1] == replace(FOUND.instances[1], category_id=17, category="cat")
    assert (done.instances[0], done.instances[2]) == (FOUND.instances[0], FOUND.instances[2])


@pytest.mark.parametrize("form", ["rle", "polygon"])
def test_merged_objects_are_the_best_ones_with_the_union_of_the_masks(form):
    one, other = (
        instance(0.4, (10, 10, 10, 10), form=form, grid=224),
        instance(0.7, (15, 15, 20, 8), form=form, grid=56),
    )
    found = prediction(one, instance(0.6, (70, 0, 4, 4)), other)
    done = correct(found, [Merge((0, 2))])
    assert done.origins == (1, 2)  # the place of the best
    whole = done.prediction.instances[1]
    union = one.mask(SIZE) | other.mask(SIZE)
    assert (whole.mask(SIZE) != union).sum() <= (0 if form == "rle" else 4)  # outlines are thinned out
    assert isinstance(whole.segmentation, list) == (form == "polygon")
    assert (whole.bbox, whole.area, whole.score, whole.grid) == ((10, 10, 25, 13), union.sum(), 0.7, 56)
    assert (whole.mask_score, whole.edge_uncertainty, whole.points) == (None, None, None)
    x, y, values = whole.probability_crop()
    assert (x, y, values.shape) == (10, 10, (13, 25))
    assert ((values >= 128) == whole.mask(SIZE)[y : y + 13, x : x + 25]).mean() > 0.97


def test_probabilities_are_joined_only_where_all_have_them():
    known, unknown = instance(0.9, (0, 0, 9, 9)), replace(instance(0.8, (9, 0, 9, 9)), probabilities=None)
    assert correct(prediction(known, unknown), [Merge((0, 1))]).prediction.instances[0].probabilities is None
    empty = replace(unknown, segmentation=encode_mask("rle", np.zeros((0, 0), bool), 0, 0, SIZE), area=0)
    assert correct(prediction(known, empty), [Merge((0, 1))]).prediction.instances[0].probabilities is not None


def test_boxes_without_masks_are_merged_to_one_around_them():
    boxes = [replace(each, segmentation=None, area=None, probabilities=None) for each in FOUND.instances]
    found = prediction(*boxes, task="detection")
    done = correct(found, [Merge((0, 1))]).prediction.instances
    assert (done[0].bbox, done[0].area, done[0].segmentation) == ((2, 2, 68, 48), None, None)
    with pytest.raises(InvalidRequest, match="split: 'dog 2' has no mask, and a box alone has no parts"):
        correct(found, [Split(1)])


@pytest.mark.parametrize("form", ["rle", "polygon"])
def test_a_split_object_becomes_its_parts_the_largest_first(form):
    bench = instance(0.8, *BENCH, form=form, grid=112)
    done = correct(prediction(instance(0.9, (80, 50, 5, 5)), bench), [Split(1)])
    assert done.origins == (0, 1, 1)
    parts = done.prediction.instances[1:]
    boxes = np.array([each.bbox for each in parts])
    assert np.abs(boxes - [(2, 2, 20, 20), (40, 5, 10, 30)]).max() <= (0 if form == "rle" else 1)
    assert (parts[0].mask(SIZE) | parts[1].mask(SIZE) == bench.mask(SIZE)).mean() > 0.99
    for part in parts:
        assert (part.category, part.score, part.grid, part.mask_score) == ("dog", 0.8, 112, None)
        assert part.area is not None
        assert abs(part.area - part.mask(SIZE).sum()) <= (0 if form == "rle" else 20)  # an outline is thinned out
        x, y, values = part.probability_crop()
        known = np.zeros(SIZE, bool)
        known[y : y + values.shape[0], x : x + values.shape[1]] = values >= 128
        assert (known != part.mask(SIZE)).sum() <= (0 if form == "rle" else 20)
        assert values.size > part.area  # what is around it, below 0.5, is known too


def test_specks_become_no_objects():
    speckled = instance(0.8, *BENCH, (30, 10, 2, 2))
    assert count_parts(speckled, SIZE) == 2
    parts = correct(prediction(speckled), [Split(0)]).prediction.instances
    assert sum(part.area or 0 for part in parts) == speckled.area


@pytest.mark.parametrize(("boxes", "said"), [([(0, 0, 9, 9)], "one connected part"), ([(0, 0, 0, 0)], "an empty mask")])
def test_what_has_one_part_cannot_be_split(boxes, said):
    found = prediction(replace(instance(0.8, *boxes), probabilities=None))
    with pytest.raises(InvalidRequest, match=f"split: 'dog 1' has {said}, so there is nothing to split") as raised:
        correct(found, [Split(0)])
    assert raised.value.field == "split"


def test_several_at_once_name_the_objects_of_one_result():
    done = correct(FOUND, [Split(1), Delete((0,)), Rename((2,), CAT), Add((instance(0.3, (0, 50, 5, 5)),))])
    assert [each.category for each in done.prediction.instances] == ["dog", "dog", "cat", "dog"]
    assert done.origins == (1, 1, 2, None)


def test_steps_name_what_the_one_before_has_left():
    steps: list[list[Correction]] = [[Delete((0,))], [Split(0)], [Merge((0, 2))], [Rename((0,), CAT)]]
    done = replay(FOUND, steps)
    assert [each.category for each in done.instances] == ["cat", "dog"]
    assert replay(FOUND, steps[:-3]).instances == FOUND.instances[1:]  # undone


@pytest.mark.parametrize(
    ("corrections", "said"),
    [
        ([Delete((3,))], "delete names object 3, but there are 3, counted from 0"),
        ([Rename((-1,), CAT)], "rename names object -1"),
        ([Merge((1,))], "merge needs two objects or more, not 1"),
        ([Delete(())], "delete needs an object or more, not 0"),
        ([Merge((1, 1))], "merge names 'dog 2', which is named twice"),
        ([Delete((1,)), Split(1)], "split names 'dog 2', which is named twice: make one correction after the other"),
    ],
)
def test_what_cannot_be_corrected_is_refused_by_name(corrections, said):
    with pytest.raises(InvalidRequest, match=said):
        correct(FOUND, corrections)


def test_segments_are_no_objects():
    with pytest.raises(InvalidRequest, match="task is semantic"):
        correct(prediction(task="semantic"), [Delete((0,))])


@pytest.mark.parametrize("correction", [Delete((0, 4)), Rename((1,), CAT), Merge((2, 0)), Split(7)])
def test_corrections_are_written_and_read(correction):
    assert from_tree(json.loads(json.dumps(to_tree(correction)))) == correction


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        (None, "the correction must be an object, not None"),
        ({"explode": [1]}, "must be delete, rename, merge or split, not an object of 1"),
        ({"delete": 1}, "delete must be a list, not 1"),
        ({"delete": [True]}, r"delete\[0\] must be a whole number from 0"),
        ({"merge": [0] * 1001}, "merge has 1001 entries; at most 1000"),
        ({"split": [1]}, "split must be a whole number"),
        ({"rename": [0], "category": "cat"}, "category_id must be a whole number"),
        ({"rename": [0], "category_id": 1, "category": "a\nb"}, "category must have no control characters"),
    ],
)
def test_what_is_no_correction_is_told_by_its_field(tree, said):
    with pytest.raises(InvalidPrediction, match=said):
        from_tree(tree)


def test_a_corrected_prediction_is_one_like_any_other():
    done = replay(FOUND, [[Split(1)], [Merge((0, 1))]])
    tree = json.loads(json.dumps(done.to_dict()))
    assert Prediction.from_dict(tree).to_dict() == tree
