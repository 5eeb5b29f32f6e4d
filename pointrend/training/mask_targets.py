"""What the mask heads should say: the labelled masks, read inside regions.

Shapes: R regions, G labelled objects, P points a region, S side of the crop, M side of a mask target. Boxes are
(x0, y0, x1, y1) in pixels of the crop; points are (x, y) in [0, 1] x [0, 1] relative to a region's box.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pointrend.modeling.point_rend import regular_points

SAMPLES = 4  # a cell of a mask target is the mean of SAMPLES x SAMPLES readings


def read_masks(masks: Tensor, objects: Tensor, boxes: Tensor, points: Tensor) -> Tensor:
    """Read each region's own mask bilinearly at points; outside the crop it is zero.

    Args:
        masks: (G, S, S) bool.
        objects: (R,) which mask belongs to each region.
        boxes: (R, 4).
        points: (R, P, 2), or (P, 2) for the same points in every box.

    Returns:
        (R, P) float32 in [0, 1].
    """
    height, width = masks.shape[1:]
    places = boxes[:, None, :2] + points * (boxes[:, None, 2:] - boxes[:, None, :2]) - 0.5
    x, y = places.unbind(2)
    left, top = x.floor(), y.floor()
    flat = masks.flatten()
    first = objects[:, None] * (height * width)
    total = torch.zeros_like(x)
    for row, row_weight in ((top, 1 - (y - top)), (top + 1, y - top)):
        for column, column_weight in ((left, 1 - (x - left)), (left + 1, x - left)):
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            cell = first + row.clamp(0, height - 1).long() * width + column.clamp(0, width - 1).long()
            total += row_weight * column_weight * (flat[cell] & inside)
    return total


def grid_targets(masks: Tensor, objects: Tensor, boxes: Tensor, side: int) -> Tensor:
    """Masks at a constant resolution: (R, M, M) float32, 1 where at least half of a cell is object.

    Args:
        masks: (G, S, S) bool.
        objects: (R,) which mask belongs to each region.
        boxes: (R, 4).
        side: M.
    """
    points = regular_points(side * SAMPLES).to(boxes.device)
    fine = read_masks(masks, objects, boxes, points).view(-1, side, SAMPLES, side, SAMPLES)
    return (fine.mean(dim=(2, 4)) >= 0.5).float()
