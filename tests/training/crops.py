"""Crops for the tests of the training."""

from __future__ import annotations

import torch

from pointrend.training.sample import Sample


def make_sample(
    boxes: list[list[int]],
    classes: list[int],
    *,
    side: int = 128,
    num_classes: int = 3,
    labelled: list[bool] | None = None,
) -> Sample:
    """A crop with filled rectangles, each of its class's colour."""
    image = torch.full((side, side, 3), 30, dtype=torch.uint8)
    masks = torch.zeros(len(boxes), side, side, dtype=torch.bool)
    for index, ((x0, y0, x1, y1), number) in enumerate(zip(boxes, classes, strict=True)):
        masks[index, y0:y1, x0:x1] = True
        image[y0:y1, x0:x1] = 60
        image[y0:y1, x0:x1, number] = 220
    return Sample(
        image=image,
        boxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        classes=torch.tensor(classes, dtype=torch.int64),
        masks=masks,
        neutral=torch.zeros(0, 4),
        labelled=torch.tensor(labelled if labelled is not None else [True] * num_classes),
    )
