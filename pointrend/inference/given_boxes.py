"""What the caller's boxes are given that detection would have told: a class where it was named, and a score.

Shapes: R boxes, S side of a mask in cells.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pointrend.inference.detections import NO_CLASS
from pointrend.structures.boxes import BoxPrompt
from pointrend.structures.categories import category_index
from pointrend.structures.model_info import Category


def mask_confidence(logits: Tensor) -> float:
    """The score of a given box: how sure the mask is of the cells that it takes.

    It is the mean probability over the cells of at least 0.5, the "maskness" of SOLO (arXiv:1912.04488); nothing is
    asked of a box head, which not every model has.

    Args:
        logits: (S, S) of one mask.

    Returns:
        from 0.5 to 1; 0 for a mask without cells.

    >>> mask_confidence(torch.tensor([[-9.0, 0.0], [0.0, -9.0]]))
    0.5
    """
    probabilities = logits.float().sigmoid()
    inside = probabilities[probabilities >= 0.5]
    return float(inside.mean()) if len(inside) else 0.0


def given_classes(boxes: Sequence[BoxPrompt], categories: tuple[Category, ...]) -> Tensor:
    """The classes (R,) int64 that boxes come with; :data:`~pointrend.inference.detections.NO_CLASS` without one.

    Raises:
        InvalidOption: the model knows no such category; it names the box.
    """
    return torch.tensor(
        [
            NO_CLASS if box.category is None else category_index(categories, box.category, f"boxes[{index}]")
            for index, box in enumerate(boxes)
        ],
        dtype=torch.int64,
    )
