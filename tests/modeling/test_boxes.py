from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pointrend.modeling.boxes import (
    MAX_LOG_SCALE,
    _greedy,
    _greedy_in_blocks,
    _greedy_of_pairs,
    _near_pairs,
    box_area,
    clip_boxes,
    decode_boxes,
    encode_boxes,
    grouped_nms,
    nms,
    nonempty,
)

BOX_HEAD_WEIGHTS = (10.0, 10.0, 5.0, 5.0)


def random_boxes(count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, generator=generator) * 200
    return torch.cat([corners, corners + torch.rand(count, 2, generator=generator) * 80], dim=1)


def overlap(first: Tensor, second: Tensor) -> float:
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    shared = max(float(width), 0.0) * max(float(height), 0.0)
    return shared / (float(box_area(first[None])) + float(box_area(second[None])) - shared)


def naive_nms(boxes: Tensor, scores: Tensor, threshold: float) -> list[int]:
    kept: list[int] = []
    for index in scores.argsort(descending=True, stable=True).tolist():
        if all(overlap(boxes[index], boxes[better]) <= threshold for better in kept):
            kept.append(index)
    return kept


def test_decoding_by_hand() -> None:
    box = torch.tensor([[10.0, 20.0, 30.0, 60.0]])  # 20 wide, 40 high, centre (20, 40)
    moved = decode_boxes(box, torch.tensor([[5.0, -2.5, 5 * math.log(2), 0.0]]), BOX_HEAD_WEIGHTS)
    assert moved[0].tolist() == pytest.approx([10.0, 10.0, 50.0, 50.0], abs=1e-4)


def test_decoding_limits_growth() -> None:
    huge = decode_boxes(torch.tensor([[0.0, 0.0, 16.0, 16.0]]), torch.tensor([[0.0, 0.0, 1e4, 1e4]]), (1, 1, 1, 1))
    assert (huge[0, 2] - huge[0, 0]).item() == pytest.approx(16 * math.exp(MAX_LOG_SCALE), rel=1e-5)


@pytest.mark.parametrize("weights", [BOX_HEAD_WEIGHTS, (1.0, 1.0, 1.0, 1.0)])
def test_decoding_inverts_encoding(weights: tuple[float, float, float, float]) -> None:
    references, targets = (
        random_boxes(50, 0) + torch.tensor([0, 0, 5, 5]),
        random_boxes(50, 1) + torch.tensor([0, 0, 5, 5]),
    )
    assert torch.allclose(
        decode_boxes(references, encode_boxes(references, targets, weights), weights), targets, atol=1e-3
    )


def test_clipping_area_and_emptiness() -> None:
    boxes = torch.tensor([[-5.0, -5.0, 10.0, 4.0], [30.0, 1.0, 40.0, 2.0]])
    clipped = clip_boxes(boxes, height=8, width=20)
    assert clipped.tolist() == [[0.0, 0.0, 10.0, 4.0], [20.0, 1.0, 20.0, 2.0]]
    assert box_area(clipped).tolist() == [40.0, 0.0]
    assert nonempty(clipped).tolist() == [True, False]


@pytest.mark.parametrize("threshold", [0.0, 0.5, 0.7])
@pytest.mark.parametrize("spread", [0.0, 3.0, 60.0, 3000.0])
def test_boxes_that_lie_apart_need_not_be_compared(spread: float, threshold: float) -> None:
    """Duplicates, clusters and lone boxes, some of them empty: near pairs decide as all pairs do."""
    generator = torch.Generator().manual_seed(0)
    shifts = (spread * torch.rand(12, 300 // 12, 2, generator=generator)).flatten(0, 1).repeat(1, 2)
    boxes = (random_boxes(12, 5).repeat_interleave(25, dim=0) + shifts).numpy()
    boxes[::17, 2] = boxes[::17, 0]
    expected = _greedy_in_blocks(boxes, threshold)
    assert _greedy(boxes, threshold).tolist() == expected.tolist()
    near = _near_pairs(boxes, threshold)
    if near is not None:
        assert _greedy_of_pairs(boxes, *near, threshold).tolist() == expected.tolist()


def test_only_pairs_that_can_overlap_enough_are_compared() -> None:
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [2.0, 0.0, 12.0, 10.0], [6.0, 0.0, 16.0, 10.0]]).repeat(10, 1)
    boxes += torch.arange(10).repeat_interleave(3)[:, None] * torch.tensor([100.0, 0.0, 100.0, 0.0])
    near = _near_pairs(boxes.numpy(), 0.7)
    assert near is not None
    assert sorted(near[0] % 3) == [0] * 10
    assert sorted(near[1] % 3) == [1] * 10
    assert _near_pairs(boxes.numpy() % 100, 0.0) is None  # all lie in one place: blocks are faster


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.7])
@pytest.mark.parametrize("count", [1, 127, 128, 129, 290])
def test_nms_equals_the_naive_loop(count: int, threshold: float) -> None:
    boxes = random_boxes(count, count)
    scores = torch.rand(count, generator=torch.Generator().manual_seed(3))
    assert nms(boxes, scores, threshold).tolist() == naive_nms(boxes, scores, threshold)


def test_nms_prefers_the_first_of_equals_and_keeps_empty_boxes() -> None:
    boxes = torch.tensor([[0.0, 0.0, 9.0, 9.0], [0.0, 0.0, 9.0, 9.0], [4.0, 4.0, 4.0, 4.0], [4.0, 4.0, 4.0, 4.0]])
    assert nms(boxes, torch.full((4,), 0.5), 0.5).tolist() == [0, 2, 3]


def test_nms_of_groups_is_nms_of_each() -> None:
    boxes, groups = random_boxes(300, 7), torch.arange(300) % 4
    scores = torch.rand(300, generator=torch.Generator().manual_seed(8))
    kept = grouped_nms(boxes, scores, groups, 0.3)
    assert scores[kept].tolist() == sorted(scores[kept].tolist(), reverse=True)
    for group in range(4):
        members = (groups == group).nonzero().flatten()
        alone = members[naive_nms(boxes[members], scores[members], 0.3)]
        assert [index for index in kept.tolist() if index % 4 == group] == alone.tolist()


def test_no_boxes() -> None:
    none = torch.zeros(0, 4)
    assert nms(none, none[:, 0], 0.5).tolist() == []
    assert grouped_nms(none, none[:, 0], none[:, 0].long(), 0.5).tolist() == []
    assert decode_boxes(none, none, BOX_HEAD_WEIGHTS).shape == (0, 4)
