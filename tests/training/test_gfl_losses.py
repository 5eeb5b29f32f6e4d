"""What a one-stage detector learns from labels: which cells an object gets, and where the losses lead."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pointrend.modeling.one_stage.gfl_head import cell_corners, decode_distances
from pointrend.training.gfl_losses import assign, distribution_focal_loss, label_losses, paired_iou
from tests.training.crops import make_sample

BINS = 8
MAPS = [torch.zeros(1, 1, 128 // stride, 128 // stride) for stride in (8, 16, 32, 64)]
CORNERS = cell_corners(MAPS)
SAMPLE = make_sample([[10, 10, 60, 70], [70, 20, 120, 60]], [0, 2])


def undecided(classes: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """Predictions of all cells for one image: scores of 0.01, and all distances alike."""
    return torch.full((1, len(CORNERS), classes), -4.6), torch.zeros(1, len(CORNERS), 4, BINS)


sides = st.integers(0, 120)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(sides, sides, st.integers(1, 60), st.integers(1, 60)), max_size=5), st.integers(0, 99))
def test_every_cell_has_one_object_and_most_objects_have_cells(
    drawn: list[tuple[int, int, int, int]], seed: int
) -> None:
    boxes = [[x, y, min(x + w, 128), min(y + h, 128)] for x, y, w, h in drawn]
    item = make_sample(boxes, [index % 3 for index in range(len(boxes))])
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(len(CORNERS), 3, generator=generator)
    found = decode_distances(CORNERS, torch.randn(len(CORNERS), 4, BINS, generator=generator))
    assigned = assign(logits, found, CORNERS, item)
    assert len(set(assigned.cells.tolist())) == len(assigned.cells)
    assert bool(boxes) is bool(len(assigned.cells))
    if len(boxes) == 1:
        assert 1 <= len(assigned.cells) <= 13
    for cell, index in zip(assigned.cells.tolist(), assigned.objects.tolist(), strict=True):
        x, y, _ = CORNERS[cell].tolist()
        x0, y0, x1, y1 = boxes[index]
        centre = (CORNERS[:, :2] - torch.tensor([(x0 + x1) / 2, (y0 + y1) / 2])).square().sum(dim=1)
        assert (x0 < x < x1 and y0 < y < y1) or centre[cell] == centre.min()


def test_the_cell_that_fits_best_is_taken() -> None:
    """As sure cells go: of two that say the same box, the one with the right class's score."""
    item = make_sample([[32, 32, 96, 96]], [1])
    logits = undecided()[0][0]
    cells = [(torch.tensor([48.0, 48, 8]) == CORNERS).all(1), (torch.tensor([64.0, 64, 8]) == CORNERS).all(1)]
    first, second = (int(each.nonzero()) for each in cells)
    found = torch.zeros(len(CORNERS), 4)
    found[[first, second]] = item.boxes[0]
    logits[first, 0] = 3.0
    logits[second, 1] = 3.0
    found[first] += 4
    chosen = assign(logits, found, CORNERS, item).cells.tolist()
    assert second in chosen
    assert first not in chosen


def test_the_losses_lead_to_the_objects() -> None:
    logits, bins = undecided()
    logits.requires_grad_()
    bins.requires_grad_()
    optimiser = torch.optim.Adam([logits, bins], lr=0.1)
    for _ in range(150):
        losses = label_losses(logits, bins, CORNERS, [SAMPLE])
        assert set(losses) == {"class", "box"}
        optimiser.zero_grad()
        (losses["class"] + losses["box"]).backward()
        optimiser.step()
    with torch.no_grad():
        scores, classes = logits[0].sigmoid().max(dim=1)
        found = decode_distances(CORNERS, bins[0])
        for box, number in zip(SAMPLE.boxes, SAMPLE.classes, strict=True):
            overlaps, _ = paired_iou(found, box.expand(len(found), 4))
            best = int(torch.where(classes == number, scores, 0).argmax())
            assert scores[best] > 0.7
            assert overlaps[best] > 0.8
        assert scores.median() < 0.1


@pytest.mark.parametrize("why", ["unlabelled", "neutral"])
def test_what_nobody_knows_is_not_taken_for_background(why: str) -> None:
    logits, bins = undecided()
    logits.requires_grad_()
    item = make_sample([], [], labelled=[True, False, True] if why == "unlabelled" else None)
    if why == "neutral":
        item = replace(item, neutral=torch.tensor([[-500.0, -500, 600, 600]]))
    loss = label_losses(logits, bins, CORNERS, [item])["class"]
    loss.backward()
    assert logits.grad is not None
    silent = logits.grad[:, :, 1] if why == "unlabelled" else logits.grad
    assert silent.abs().max() == 0
    if why == "unlabelled":
        assert logits.grad[:, :, 0].min() > 0


def test_a_batch_without_objects_asks_for_no_boxes() -> None:
    logits, bins = undecided()
    losses = label_losses(logits, bins, CORNERS, [make_sample([], [])])
    assert losses["box"] == 0
    assert losses["class"].isfinite()


def test_a_distance_between_two_bins_is_shared_by_them() -> None:
    sure = torch.full((1, 4, BINS), -50.0)
    sure[:, :, 2:4] = 0.0
    # Both halves: nothing is lost but the distribution's own entropy.
    assert float(distribution_focal_loss(sure, torch.full((1, 4), 2.5))) == pytest.approx(0.6931, abs=1e-3)
    beyond = torch.full((1, 4, BINS), -50.0)
    beyond[:, :, -1] = 0.0
    assert float(distribution_focal_loss(beyond, torch.full((1, 4), 99.0))) < 1


def test_generalised_iou_tells_near_from_far() -> None:
    box = torch.tensor([[0.0, 0, 10, 10]] * 3)
    other = torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10], [90, 0, 100, 10]])
    overlap, generalised = paired_iou(box, other)
    assert overlap.tolist() == [1, 0, 0]
    assert generalised.tolist() == pytest.approx([1, -1 / 3, -0.8])
