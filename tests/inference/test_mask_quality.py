"""What a mask's probabilities say of it: exact where they can be counted, monotone, and calibrated by the model."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pointrend.inference.mask_quality import MaskQuality, calibrated, mask_qualities, mask_quality

BOX = torch.tensor([10.0, 20.0, 66.0, 76.0])
IMAGE = (480, 640)  # the band is 16 pixels wide


def quality(logits: Tensor, calibration: tuple[float, float] = (1.0, 0.0)) -> MaskQuality:
    return mask_quality(logits, BOX, IMAGE, calibration)


def test_expected_intersection_over_expected_union() -> None:
    probabilities = torch.tensor([[0.9, 0.6], [0.2, 0.1]], dtype=torch.float64)
    # On: 0.9 and 0.6. The union is those two cells, and 0.2 and 0.1 of the others.
    assert quality(probabilities.logit()).mask_score == pytest.approx(1.5 / 2.3)


def test_a_sure_mask_is_perfect_and_an_empty_one_worthless() -> None:
    assert quality(torch.full((7, 7), 50.0)) == MaskQuality(1.0, 0.0)
    assert quality(torch.full((7, 7), -50.0)) == MaskQuality(0.0, 1.0)


def test_infinite_logits_are_sure() -> None:
    infinite = torch.tensor([[math.inf, -math.inf], [math.inf, math.inf]])
    assert quality(infinite, (0.5, 0.1)) == MaskQuality(1.0, 0.0)


@pytest.mark.parametrize("side", [56, 224])
def test_only_the_band_along_the_outline_counts(side: int) -> None:
    logits = torch.full((side, side), -50.0)
    logits[:, : side // 2] = 50.0
    columns = side // 56  # of a pixel
    inner = logits.clone()
    inner[20 * columns : -20 * columns, 47 * columns :] = -0.1  # 19 pixels from the outline, and from the box above
    assert quality(inner).edge_uncertainty == 0
    edge = logits.clone()
    edge[:, 26 * columns : 30 * columns] = torch.tensor([0.1, -0.1]).repeat_interleave(2 * columns)
    assert 0.05 < quality(edge).edge_uncertainty < 0.3


def test_a_mask_of_a_few_cells_has_an_edge() -> None:
    logits = torch.full((224, 224), -50.0)
    logits[101, 103] = 50.0
    assert quality(logits) == MaskQuality(1.0, 1.0)


def test_a_mask_of_harder_edges_is_better() -> None:
    ramp = torch.linspace(-4, 4, 28).expand(28, 28)
    soft, hard = quality(ramp), quality(ramp * 4)
    assert soft.mask_score < hard.mask_score
    assert soft.edge_uncertainty > hard.edge_uncertainty


@given(st.floats(0.1, 5), st.floats(-3, 3), st.floats(0, 1), st.floats(0, 1))
def test_calibration_keeps_the_order_and_the_range(slope: float, offset: float, one: float, other: float) -> None:
    low, high = (calibrated(value, (slope, offset)) for value in sorted((one, other)))
    assert 0 <= low <= high <= 1


def test_calibration_is_a_line_through_logits() -> None:
    assert calibrated(0.8, (1.0, 0.0)) == 0.8
    assert calibrated(0.8, (0.5, -1.0)) == pytest.approx(1 / (1 + math.exp(-(0.5 * math.log(4) - 1))))


def test_many_masks_are_judged_as_each_alone() -> None:
    random = torch.Generator().manual_seed(0)
    sides = [7, 28, 56, 28] * 5
    logits = [3 * torch.randn(side, side, generator=random) - 1 for side in sides]
    logits[3] = torch.full((28, 28), -5.0)
    corners = 200 * torch.rand(len(sides), 2, generator=random)
    boxes = torch.cat([corners, corners + 300 * torch.rand(len(sides), 2, generator=random)], dim=1)
    together = mask_qualities(logits, boxes, IMAGE, (1.2, 0.1))
    for found, mask, box in zip(together, logits, boxes, strict=True):
        alone = mask_quality(mask, box, IMAGE, (1.2, 0.1))
        assert found.mask_score == pytest.approx(alone.mask_score, abs=1e-6)
        assert found.edge_uncertainty == pytest.approx(alone.edge_uncertainty, abs=1e-6)
    assert together[3] == MaskQuality(0.0, 1.0)
    assert mask_qualities([], boxes[:0], IMAGE) == []


def test_the_band_is_within_its_reach_of_the_outline() -> None:
    """The definition: a cell is near the outline where its window, cut at the box, holds another kind of cell."""
    random = torch.Generator().manual_seed(1)
    logits = 5 * torch.randn(28, 28, generator=random)
    logits[4:24, 6:20] += 9
    found = quality(logits).edge_uncertainty  # a box of 56 pixels: 8 cells each way
    padded = torch.zeros(44, 44)
    padded[8:36, 8:36] = (logits >= 0).float()
    doubts = []
    for row in range(28):
        for column in range(28):
            window = padded[row : row + 17, column : column + 17]
            if window.min() != window.max() and padded[row + 8, column + 8] in (window.min(), window.max()):
                doubts.append(1 - abs(2 * float(logits[row, column].sigmoid()) - 1))
    assert found == pytest.approx(sum(doubts) / len(doubts), abs=1e-5)
