from __future__ import annotations

import math

import pytest
import torch

from pointrend.training.losses import (
    classification_loss,
    important_points,
    mask_loss,
    objectness_loss,
    offset_loss,
)


def test_classes_of_fully_labelled_photos_are_plain_cross_entropy() -> None:
    logits = torch.tensor([[2.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    everything = torch.tensor([True, True])
    expected = -math.log(math.exp(2) / (math.exp(2) + 1 + math.e)) + math.log(3)
    assert float(classification_loss(logits, torch.tensor([0, 2]), everything)) == pytest.approx(expected, abs=1e-6)
    torch.testing.assert_close(
        classification_loss(logits, torch.tensor([0, 2]), everything),
        torch.nn.functional.cross_entropy(logits, torch.tensor([0, 2]), reduction="sum"),
    )


def test_an_unlabelled_category_is_neither_object_nor_background() -> None:
    logits = torch.tensor([[0.0, math.log(2.0), math.log(3.0)]], requires_grad=True)
    loss = classification_loss(logits, torch.tensor([2]), torch.tensor([True, False]))
    assert loss.item() == pytest.approx(-math.log(5 / 6), abs=1e-6)  # background or the unlabelled class 1
    loss.backward()
    # The labelled class is pushed down; between background and the unlabelled one nothing is preferred.
    assert logits.grad is not None
    grad = logits.grad[0]
    assert grad[0] > 0
    assert float(grad[1] / grad[2]) == pytest.approx(2 / 3, abs=1e-5)


def test_a_labelled_object_counts_even_if_its_category_is_not_always_labelled() -> None:
    logits = torch.zeros(1, 3)
    assert float(classification_loss(logits, torch.tensor([1]), torch.tensor([True, False]))) == pytest.approx(
        math.log(3)
    )


def test_offsets_and_objectness_are_sums() -> None:
    assert float(offset_loss(torch.tensor([[0.0, 1, 2, 3]]), torch.tensor([[1.0, 1, 0, 3.5]]))) == 3.5
    assert float(objectness_loss(torch.zeros(3), torch.tensor([True, False, False]))) == pytest.approx(3 * math.log(2))


def test_masks_are_averaged_inside_a_region_and_summed_over_regions() -> None:
    logits = torch.zeros(2, 7, 7)
    assert float(mask_loss(logits, torch.ones(2, 7, 7))) == pytest.approx(2 * math.log(2), abs=1e-6)
    sure = torch.full((1, 2), 100.0)
    assert float(mask_loss(sure, torch.tensor([[1.0, 1.0]]))) == pytest.approx(0)


def test_points_gather_where_the_mask_is_undecided() -> None:
    torch.manual_seed(0)
    x = torch.linspace(-6, 6, 28)
    coarse = x.expand(3, 28, 28)  # undecided along the vertical line in the middle
    points = important_points(coarse, 196)
    assert points.shape == (3, 196, 2)
    assert bool(((points >= 0) & (points <= 1)).all())
    near = ((points[:, :, 0] - 0.5).abs() < 0.18).float().mean()
    even = ((important_points(torch.zeros(3, 28, 28), 196)[:, :, 0] - 0.5).abs() < 0.18).float().mean()
    assert near > 0.75
    assert even < 0.5
