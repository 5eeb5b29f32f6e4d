"""Which anchors and proposals belong to which labelled object, and which of them a step looks at.

Shapes: A boxes (anchors or proposals), G labelled objects, C neutral boxes. Boxes are (x0, y0, x1, y1) in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pointrend.modeling.boxes import box_area

OBJECT, BACKGROUND, NEUTRAL = 1, 0, -1
NEUTRAL_COVER = 0.5  # a box that lies this far inside a crowd is neither object nor background


@dataclass(frozen=True, slots=True)
class BoxMatches:
    """The object of each box: ``indices`` (A,) int64 into the labelled ones, and ``kinds`` (A,).

    Kinds are OBJECT, BACKGROUND and NEUTRAL; the index means something for objects only.
    """

    indices: Tensor
    kinds: Tensor


def pairwise_iou(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union (A, G) of each of (A, 4) boxes with each of (G, 4)."""
    shared = _intersection(first, second)
    union = box_area(first)[:, None] + box_area(second)[None] - shared
    return torch.where(union > 0, shared / union, union.new_zeros(()))


def match(
    boxes: Tensor, objects: Tensor, neutral: Tensor, *, low: float, high: float, keep_best: bool = False
) -> BoxMatches:
    """Match each box with the object that it overlaps most.

    Args:
        boxes: (A, 4).
        objects: (G, 4), G may be 0.
        neutral: (C, 4); what lies mostly inside one of them and matches nothing is neutral.
        low: below this intersection over union a box is background.
        high: from this on it is an object; what lies between is neutral.
        keep_best: whether each object also gets the boxes that overlap it most, however little: without them small
            objects would have no anchor at all (Faster R-CNN, arXiv:1506.01497, section 3.1.2).
    """
    kinds = torch.full((len(boxes),), BACKGROUND, dtype=torch.int64, device=boxes.device)
    indices = torch.zeros_like(kinds)
    if len(objects):
        iou = pairwise_iou(boxes, objects)
        overlap, indices = iou.max(dim=1)
        kinds[overlap >= low] = NEUTRAL
        kinds[overlap >= high] = OBJECT
        if keep_best:
            best = iou.max(dim=0).values
            kinds[((iou == best) & (best > 0)).any(dim=1)] = OBJECT
    if len(neutral):
        inside = _intersection(boxes, neutral) / box_area(boxes).clamp(min=1e-6)[:, None]
        kinds[(kinds == BACKGROUND) & (inside.max(dim=1).values > NEUTRAL_COVER)] = NEUTRAL
    return BoxMatches(indices, kinds)


def sample(kinds: Tensor, count: int, object_fraction: float) -> tuple[Tensor, Tensor]:
    """Choose at random what a step looks at.

    Args:
        kinds: (A,), see :class:`Matches`.
        count: how many boxes at most.
        object_fraction: at most this part of them are objects; background fills the rest.

    Returns:
        int64 indices of the chosen objects and of the chosen background.
    """
    objects = (kinds == OBJECT).nonzero().flatten()
    background = (kinds == BACKGROUND).nonzero().flatten()
    objects = _some(objects, int(count * object_fraction))
    return objects, _some(background, count - len(objects))


def _some(indices: Tensor, count: int) -> Tensor:
    if len(indices) <= count:
        return indices
    return indices[torch.randperm(len(indices), device=indices.device)[:count]]


def _intersection(first: Tensor, second: Tensor) -> Tensor:
    top_left = torch.maximum(first[:, None, :2], second[None, :, :2])
    bottom_right = torch.minimum(first[:, None, 2:], second[None, :, 2:])
    return (bottom_right - top_left).clamp(min=0).prod(dim=2)
