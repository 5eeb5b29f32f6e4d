"""What a one-stage detector learns from labels: Generalized Focal Loss, on cells that are assigned as it learns.

Scores learn the intersection over union of their box with the object (quality focal loss), and distances learn as
distributions (distribution focal loss, both arXiv:2006.04388) and as boxes (GIoU, arXiv:1902.09630). Which cells an
object gets is decided by what the detector says now: those within the object whose box and score fit it best, as many
as boxes fit it well (NanoDet-Plus's dynamic soft label assignment, after OTA, arXiv:2103.14259).

Shapes: N images, A cells of all levels, K classes, B bins a side, G labelled objects, P cells that have an object.
Boxes are (x0, y0, x1, y1) in pixels of the crop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from pointrend.modeling.boxes import box_area
from pointrend.modeling.one_stage.gfl_head import decode_distances
from pointrend.training.box_matching import NEUTRAL_COVER, pairwise_iou
from pointrend.training.sample import Sample

BOX_SHARE = 3.0  # of a box's fit in the cost of a cell, beside its score's
MOST_CELLS = 13  # whose fits add up to an object's number of cells
GIOU_WEIGHT, BINS_WEIGHT = 2.0, 0.25  # of the losses, beside that of the scores


@dataclass(frozen=True, slots=True)
class Assignment:
    """The cells (P,) that have an object, int64, and each one's object (P,), int64 into the labelled ones."""

    cells: Tensor
    objects: Tensor


def label_losses(logits: Tensor, bins: Tensor, corners: Tensor, samples: Sequence[Sample]) -> dict[str, Tensor]:
    """``class`` and ``box``, means over the batch's cells that have an object.

    Of categories that an image's source does not label, and within neutral boxes, no score is taken for background.

    Args:
        logits: (N, A, K).
        bins: (N, A, 4, B) logits.
        corners: (A, 3), see :func:`pointrend.modeling.one_stage.gfl_head.cell_corners`.
        samples: N.
    """
    scores, boxes = logits.new_zeros(()), logits.new_zeros(())
    count, mass = logits.new_zeros(()), logits.new_zeros(())
    for own_logits, own_bins, item in zip(logits, bins, samples, strict=True):
        found = decode_distances(corners, own_bins)
        with torch.no_grad():
            assigned = assign(own_logits, found, corners, item)
        truth = item.boxes[assigned.objects]
        overlaps, generalised = paired_iou(found[assigned.cells], truth)
        targets = torch.zeros_like(own_logits)
        targets[assigned.cells, item.classes[assigned.objects]] = overlaps.detach()
        scores = scores + _quality_focal_loss(own_logits, targets, _counts(found.detach(), assigned, item))
        # A cell that is sure of its object has more of a say in where it lies.
        weights = own_logits[assigned.cells].detach().sigmoid().amax(dim=1)
        distances = _distances(corners[assigned.cells], truth)
        spread = distribution_focal_loss(own_bins[assigned.cells], distances)
        boxes = boxes + (weights * (GIOU_WEIGHT * (1 - generalised) + BINS_WEIGHT * spread)).sum()
        count, mass = count + len(assigned.cells), mass + weights.sum()
    return {"class": scores / count.clamp(min=1), "box": boxes / mass.clamp(min=1)}


def assign(logits: Tensor, found: Tensor, corners: Tensor, item: Sample) -> Assignment:
    """Choose the cells of each object.

    Args:
        logits: (A, K).
        found: the cells' boxes (A, 4).
        corners: (A, 3).
        item: the labels.
    """
    if not len(item.boxes):
        nothing = item.classes.new_empty(0)
        return Assignment(nothing, nothing)
    x, y = corners[:, None, 0], corners[:, None, 1]
    x0, y0, x1, y1 = item.boxes.unbind(1)
    inside = (x > x0) & (x < x1) & (y > y0) & (y < y1)  # (A, G)
    # An object that lies between the cells has the nearest one.
    away = (x - (x0 + x1) / 2).square() + (y - (y0 + y1) / 2).square()
    inside[away.argmin(dim=0), torch.arange(len(item.boxes), device=logits.device)] = True
    cells = inside.any(dim=1).nonzero().flatten()
    inside = inside[cells]
    overlaps = pairwise_iou(found[cells], item.boxes)
    # The cost of the scores, if the cell had the object: of all classes, but those but one are the same for all.
    own = logits[cells][:, item.classes]
    fits = F.binary_cross_entropy_with_logits(own, overlaps, reduction="none") * (overlaps - own.sigmoid()).square()
    others = F.softplus(logits[cells]) * logits[cells].sigmoid().square()  # as for background
    costs = fits - others[:, item.classes] + others.sum(dim=1, keepdim=True)
    costs = costs - BOX_SHARE * (overlaps + 1e-7).log()
    costs = torch.where(inside, costs, torch.inf)
    best = torch.where(inside, overlaps, 0).topk(min(MOST_CELLS, len(cells)), dim=0).values
    counts = best.sum(dim=0).int().clamp(min=1)
    ranks = costs.argsort(dim=0).argsort(dim=0)
    chosen = (ranks < counts) & inside
    # A cell that several objects chose goes to the one that it fits best.
    cost, objects = torch.where(chosen, costs, torch.inf).min(dim=1)
    taken = cost.isfinite()
    return Assignment(cells[taken], objects[taken])


def _counts(found: Tensor, assigned: Assignment, item: Sample) -> Tensor:
    """Which scores (A, K) learn: not those of which nobody knows whether they should be zero."""
    learns = item.labelled.expand(len(found), -1).clone()
    if len(item.neutral):
        shared = torch.maximum(found[:, None, :2], item.neutral[None, :, :2])
        ends = torch.minimum(found[:, None, 2:], item.neutral[None, :, 2:])
        cover = (ends - shared).clamp(min=0).prod(dim=2) / box_area(found).clamp(min=1e-6)[:, None]
        learns[cover.amax(dim=1) > NEUTRAL_COVER] = False
    learns[assigned.cells] = True
    return learns


def _quality_focal_loss(logits: Tensor, targets: Tensor, learns: Tensor) -> Tensor:
    """Summed over scores (A, K) that learn (equation 3)."""
    entropies = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return (entropies * (logits.sigmoid() - targets).square())[learns].sum()


def distribution_focal_loss(bins: Tensor, distances: Tensor) -> Tensor:
    """Cross-entropy with the two bins next to each distance (equation 6), as a mean over the sides: (P,).

    Args:
        bins: (P, 4, B) logits.
        distances: (P, 4) in strides; beyond the last bin they count as at it.
    """
    last = bins.shape[2] - 1
    clamped = distances.clamp(0, last - 0.01)
    lower = clamped.long()
    share = clamped - lower
    logs = bins.log_softmax(dim=2)
    below = logs.gather(2, lower[:, :, None])[:, :, 0]
    above = logs.gather(2, lower[:, :, None] + 1)[:, :, 0]
    return -(below * (1 - share) + above * share).mean(dim=1)


def _distances(corners: Tensor, boxes: Tensor) -> Tensor:
    """From corners and strides (P, 3) to the sides of boxes (P, 4), in strides: left, top, right, bottom."""
    points, strides = corners[:, :2], corners[:, 2:]
    return torch.cat([points - boxes[:, :2], boxes[:, 2:] - points], dim=1) / strides


def paired_iou(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Intersection over union (P,) of boxes (P, 4) with boxes (P, 4), and generalised IoU (P,)."""
    shared = (torch.minimum(first[:, 2:], second[:, 2:]) - torch.maximum(first[:, :2], second[:, :2])).clamp(min=0)
    around = torch.maximum(first[:, 2:], second[:, 2:]) - torch.minimum(first[:, :2], second[:, :2])
    intersection, hull = shared.prod(dim=1), around.prod(dim=1).clamp(min=1e-6)
    union = (box_area(first) + box_area(second) - intersection).clamp(min=1e-6)
    overlap = intersection / union
    return overlap, overlap - (hull - union) / hull
