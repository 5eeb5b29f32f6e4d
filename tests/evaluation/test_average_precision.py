"""Figures of small scenes, worked out by hand. COCO reads precision at the recalls 0, 0.01, ... 1."""

import numpy as np
import pytest

from pointrend.evaluation.evaluator import Evaluator
from pointrend.evaluation.figures import figures
from tests.evaluation.scenes import DOG, PERSON, found, photo, predictions, thing, truth

SQUARE = (20, 20, 40, 40)
OTHER = (120, 120, 40, 40)


def judge_masks(scene, answers, weights=None):
    weights = np.ones(len(scene.images), dtype=np.int64) if weights is None else np.array(weights)
    return figures(Evaluator(scene).masks(predictions(answers)).mask, scene, weights)


def test_perfect_detections_have_100_by_boxes_masks_and_boundaries():
    scene = truth([photo(1), photo(2)], [thing(1, SQUARE), thing(1, OTHER), thing(2, SQUARE, DOG)])
    answers = predictions({1: [found(SQUARE, 0.9), found(OTHER, 0.8)], 2: [found(SQUARE, 0.7, DOG)]})
    judge = Evaluator(scene)
    masks = judge.masks(answers)

    for matches in (judge.boxes(answers), masks.mask, masks.boundary):
        result = figures(matches, scene, np.ones(2, dtype=np.int64))
        assert (result.overall.ap, result.overall.ap50, result.overall.ap75) == (100, 100, 100)
        assert (result.overall.medium, result.overall.recall) == (100, 100)
        assert (result.overall.small, result.overall.large) == (None, None)
        assert (result.by_category["dog"].photos, result.by_category["dog"].objects) == (2, 1)
        assert (result.overall.photos, result.overall.objects) == (2, 3)


def test_half_of_the_objects_missing():
    scene = truth([photo(1), photo(2)], [thing(1, SQUARE), thing(2, SQUARE)])

    result = judge_masks(scene, {1: [found(SQUARE)], 2: []})

    assert result.overall.recall == 50
    assert result.overall.ap == pytest.approx(100 * 51 / 101, abs=0.01)  # precision 1 at recalls 0 to 0.50, then 0


def test_a_better_scored_false_alarm_halves_the_precision():
    scene = truth([photo(1)], [thing(1, SQUARE)])

    result = judge_masks(scene, {1: [found(OTHER, 0.95), found(SQUARE, 0.9)]})

    assert result.by_category["person"].ap == 50
    assert result.by_category["dog"].ap is None
    assert result.overall.ap == 50  # the mean leaves out what has no object


def test_overlap_decides_at_which_thresholds_a_detection_is_right():
    scene = truth([photo(1)], [thing(1, SQUARE)])
    shifted = (28, 20, 40, 40)  # 32 columns of 48 in common: IoU 2/3, right at 0.50, 0.55, 0.60 and 0.65

    result = judge_masks(scene, {1: [found(shifted)]}).overall

    assert (result.ap, result.ap50, result.ap75) == (40, 100, 0)


def test_an_object_is_found_once():
    scene = truth([photo(1)], [thing(1, SQUARE), thing(1, OTHER)])

    result = judge_masks(scene, {1: [found(SQUARE, 0.9), found(SQUARE, 0.8), found(OTHER, 0.7)]})

    # Precision is 1 up to recall 0.5, and 2/3 from there on.
    assert result.overall.ap == pytest.approx(100 * (51 + 50 * 2 / 3) / 101, abs=0.01)


@pytest.mark.parametrize(("labelled", "ap"), [(None, 50), ({PERSON.id, DOG.id}, 50), ({PERSON.id}, 100), (set(), 100)])
def test_a_category_is_judged_only_where_it_is_labelled(labelled, ap):
    scene = truth([photo(1), photo(2, labelled=labelled)], [thing(1, SQUARE, DOG)])

    result = judge_masks(scene, {1: [found(SQUARE, 0.8, DOG)], 2: [found(SQUARE, 0.9, DOG)]}).by_category["dog"]

    assert result.ap == ap
    assert result.photos == (2 if ap == 50 else 1)


def test_what_is_found_in_a_crowd_is_neither_right_nor_wrong():
    crowd = thing(1, (100, 100, 90, 90), crowd=True)
    scene = truth([photo(1)], [thing(1, SQUARE), crowd])

    result = judge_masks(scene, {1: [found((110, 110, 20, 20), 0.99), found(OTHER, 0.98), found(SQUARE, 0.5)]})

    assert result.overall.ap == 100
    assert result.overall.objects == 1


def test_a_source_is_judged_on_its_own_photos():
    scene = truth([photo(1, "good"), photo(2, "bad")], [thing(1, SQUARE), thing(2, SQUARE)])
    answers = {1: [found(SQUARE)], 2: [found(OTHER)]}

    assert judge_masks(scene, answers, [1, 0]).overall.ap == 100
    assert judge_masks(scene, answers, [0, 1]).overall.ap == 0
    assert judge_masks(scene, answers, [0, 1]).overall.objects == 1


def test_sizes_are_those_of_masks_for_masks_and_of_boxes_for_boxes():
    # A false alarm with a small mask in a large box: it counts as small for masks, and not for boxes.
    small = (20, 20, 10, 10)
    scene = truth([photo(1)], [thing(1, small)])
    answers = predictions({1: [found((100, 100, 10, 10), 0.95, bbox=(80, 80, 100, 100)), found(small, 0.5)]})
    judge, everything = Evaluator(scene), np.ones(1, dtype=np.int64)

    assert figures(judge.masks(answers).mask, scene, everything).overall.small == 50
    assert figures(judge.boxes(answers), scene, everything).overall.small == 100


def test_masks_must_be_there():
    scene = truth([photo(1)], [thing(1, SQUARE)])
    boxes_only = predictions({1: [found(SQUARE)]})
    instance = boxes_only[1].instances[0]
    without = {1: type(boxes_only[1])(200, 200, (type(instance)(1, "person", 0.9, instance.bbox, None, None),), {})}

    with pytest.raises(ValueError, match="carry no masks"):
        Evaluator(scene).masks(without)
