from __future__ import annotations

import torch

from pointrend.training.box_matching import BACKGROUND, NEUTRAL, OBJECT, match, pairwise_iou, sample

NONE = torch.zeros(0, 4)


def test_intersection_over_union_of_hand_made_boxes() -> None:
    first = torch.tensor([[0.0, 0, 10, 10], [20, 20, 20, 30]])
    second = torch.tensor([[0.0, 0, 10, 10], [5, 0, 15, 10], [10, 10, 20, 20]])
    torch.testing.assert_close(pairwise_iou(first, second), torch.tensor([[1.0, 1 / 3, 0.0], [0.0, 0.0, 0.0]]))


def test_overlap_decides_the_kind() -> None:
    objects = torch.tensor([[0.0, 0, 10, 10], [50, 50, 60, 60]])
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5], [0, 0, 10, 2], [50, 50, 60, 58], [80, 80, 90, 90]])
    matches = match(boxes, objects, NONE, low=0.3, high=0.7)
    assert matches.kinds.tolist() == [OBJECT, NEUTRAL, BACKGROUND, OBJECT, BACKGROUND]
    assert matches.indices[[0, 3]].tolist() == [0, 1]


def test_each_object_keeps_its_best_box() -> None:
    objects = torch.tensor([[0.0, 0, 10, 10]])
    boxes = torch.tensor([[0.0, 0, 10, 4], [0, 0, 10, 1], [0, 6, 10, 10], [90, 90, 91, 91]])
    matches = match(boxes, objects, NONE, low=0.3, high=0.7, keep_best=True)
    assert matches.kinds.tolist() == [OBJECT, BACKGROUND, OBJECT, BACKGROUND]  # two equally good ones: both


def test_an_object_without_any_overlap_has_no_best_box() -> None:
    matches = match(
        torch.tensor([[50.0, 50, 60, 60]]), torch.tensor([[0.0, 0, 10, 10]]), NONE, low=0.3, high=0.7, keep_best=True
    )
    assert matches.kinds.tolist() == [BACKGROUND]


def test_inside_a_crowd_nothing_is_background() -> None:
    crowd = torch.tensor([[0.0, 0, 100, 100]])
    boxes = torch.tensor([[10.0, 10, 20, 20], [95, 0, 115, 10], [91, 0, 111, 10], [200, 200, 210, 210]])
    assert match(boxes, NONE, crowd, low=0.5, high=0.5).kinds.tolist() == [NEUTRAL, BACKGROUND, BACKGROUND, BACKGROUND]
    labelled = match(boxes, boxes[:1], crowd, low=0.5, high=0.5)
    assert labelled.kinds[0] == OBJECT  # what is labelled counts, wherever it lies


def test_sampling_keeps_the_fraction_and_fills_with_background() -> None:
    kinds = torch.tensor([OBJECT] * 10 + [BACKGROUND] * 30 + [NEUTRAL] * 10)
    objects, background = sample(kinds, 16, 0.25)
    assert len(objects) == 4
    assert len(background) == 12
    assert set(objects.tolist()) <= set(range(10))
    assert set(background.tolist()) <= set(range(10, 40))
    few, rest = sample(torch.tensor([OBJECT, BACKGROUND, BACKGROUND]), 16, 0.25)
    assert (len(few), len(rest)) == (1, 2)
