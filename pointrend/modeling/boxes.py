"""Boxes: their offsets, area, clipping, overlap and non-maximum suppression.

Shapes: R boxes. Boxes are (x0, y0, x1, y1), continuous pixel coordinates.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

MAX_LOG_SCALE = math.log(1000.0 / 16)  # a box grows at most 62.5 times: exp() of a wild offset stays finite
NMS_BLOCK = 128  # boxes that are compared with each other at once
MOST_PAIRS = 2**20  # that are compared one by one: 100 MB for a moment


def encode_boxes(references: Tensor, targets: Tensor, weights: tuple[float, float, float, float]) -> Tensor:
    """Offsets (R, 4) that :func:`decode_boxes` turns back from references to targets (R-CNN, arXiv:1311.2524)."""
    reference_sizes = references[:, 2:] - references[:, :2]
    target_sizes = targets[:, 2:] - targets[:, :2]
    shifts = (targets[:, :2] + 0.5 * target_sizes - references[:, :2] - 0.5 * reference_sizes) / reference_sizes
    scales = torch.log(target_sizes / reference_sizes)
    return torch.cat([shifts, scales], dim=1) * references.new_tensor(weights)


def decode_boxes(references: Tensor, offsets: Tensor, weights: tuple[float, float, float, float]) -> Tensor:
    """Move and scale boxes by predicted offsets.

    Args:
        references: (R, 4) anchors or proposals.
        offsets: (R, 4) as (dx, dy, dw, dh), shifts relative to the reference's size and logarithms of scales.
        weights: what each offset was multiplied with when it was encoded.

    Returns:
        (R, 4) boxes, not clipped.
    """
    offsets = offsets / offsets.new_tensor(weights)
    sizes = references[:, 2:] - references[:, :2]
    centres = offsets[:, :2] * sizes + (references[:, :2] + 0.5 * sizes)
    half = 0.5 * offsets[:, 2:].clamp(max=MAX_LOG_SCALE).exp() * sizes
    return torch.cat([centres - half, centres + half], dim=1)


def clip_boxes(boxes: Tensor, height: float, width: float) -> Tensor:
    """Limit (R, 4) boxes to an image."""
    limit = boxes.new_tensor([width, height, width, height])
    return torch.minimum(boxes.clamp(min=0), limit)


def box_area(boxes: Tensor) -> Tensor:
    """Areas (R,) of (R, 4) boxes."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def nonempty(boxes: Tensor) -> Tensor:
    """Which (R,) of (R, 4) boxes have a width and a height."""
    return (boxes[:, 2:] > boxes[:, :2]).all(dim=1)


def nms(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    """Greedy non-maximum suppression.

    Args:
        boxes: (R, 4).
        scores: (R,); of equal ones the first wins.
        threshold: a box goes when its intersection over union with a better kept one exceeds this.

    Returns:
        int64 indices of the kept boxes by descending score.
    """
    order = scores.argsort(descending=True, stable=True)
    kept = _greedy(boxes.detach()[order].float().cpu().numpy(), threshold)
    return order[torch.from_numpy(kept).to(order.device)]


def grouped_nms(boxes: Tensor, scores: Tensor, groups: Tensor, threshold: float) -> Tensor:
    """Non-maximum suppression within each group (class or level) on its own.

    Args:
        boxes: (R, 4).
        scores: (R,).
        groups: (R,) integers.
        threshold: see :func:`nms`.

    Returns:
        int64 indices of the kept boxes of all groups by descending score.
    """
    kept = torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    for group in set(groups.tolist()):
        members = (groups == group).nonzero().flatten()
        kept[members[nms(boxes[members], scores[members], threshold)]] = True
    indices = kept.nonzero().flatten()
    return indices[scores[indices].argsort(descending=True, stable=True)]


def _greedy(boxes: NDArray[np.float32], threshold: float) -> NDArray[np.int64]:
    """Rows that survive among boxes in order of preference."""
    near = _near_pairs(boxes, threshold)
    return _greedy_in_blocks(boxes, threshold) if near is None else _greedy_of_pairs(boxes, *near, threshold)


def _near_pairs(boxes: NDArray[np.float32], threshold: float) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Rows of those pairs of boxes that lie near enough across to overlap by more than a threshold.

    Of two such boxes, the one further right begins before the other's last ``threshold`` of its width. None where
    hardly a pair is ruled out by that, or too many are left.
    """
    order = np.argsort(boxes[:, 0], kind="stable")
    left = boxes[order, 0]
    reach = left + (1 - threshold) * (boxes[order, 2] - left)
    reach += 1e-3 + 1e-5 * np.abs(reach)  # more than any rounding
    row = np.arange(len(boxes))
    counts = np.maximum(np.searchsorted(left, reach, side="right") - row - 1, 0)
    total = int(counts.sum())
    if total > min(len(boxes) ** 2 // 8, MOST_PAIRS):
        return None
    first = np.repeat(row, counts)
    second = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts) + first + 1
    return order[first], order[second]


def _greedy_of_pairs(
    boxes: NDArray[np.float32], first: NDArray[np.int64], second: NDArray[np.int64], threshold: float
) -> NDArray[np.int64]:
    """Rows that survive where only pairs of rows, ``first`` and ``second``, can overlap by more than a threshold."""
    x0, y0, x1, y1 = boxes.T
    height = np.minimum(y1[first], y1[second]) - np.maximum(y0[first], y0[second])
    beside = np.flatnonzero(height > 0)
    first, second, height = first[beside], second[beside], height[beside]
    width = np.minimum(x1[first], x1[second]) - np.maximum(x0[first], x0[second])
    intersection = np.maximum(width, 0) * height
    area = (x1 - x0) * (y1 - y0)
    with np.errstate(divide="ignore", invalid="ignore"):
        overlap = intersection / (area[first] + area[second] - intersection)
    struck = overlap > np.float32(threshold)
    better, worse = np.minimum(first, second)[struck], np.maximum(first, second)[struck]
    order = np.argsort(better, kind="stable")
    alive = np.ones(len(boxes), dtype=bool)
    for index, other in zip(better[order].tolist(), worse[order].tolist(), strict=True):
        if alive[index]:
            alive[other] = False
    return np.flatnonzero(alive)


def _greedy_in_blocks(boxes: NDArray[np.float32], threshold: float) -> NDArray[np.int64]:
    """Rows that survive among boxes in order of preference.

    Blocks of boxes are decided among themselves, then their survivors strike the rest at once: the loop in Python
    runs over the boxes, but the overlaps are computed in bulk, and never for what is struck already.
    """
    alive = np.ones(len(boxes), dtype=bool)
    for start in range(0, len(boxes), NMS_BLOCK):
        block = start + np.flatnonzero(alive[start : start + NMS_BLOCK])
        overlaps = _overlaps(boxes[block], boxes[block], threshold)
        for row, index in enumerate(block):
            if alive[index]:
                alive[block[row + 1 :][overlaps[row, row + 1 :]]] = False
        block = block[alive[block]]
        rest = start + NMS_BLOCK + np.flatnonzero(alive[start + NMS_BLOCK :])
        alive[rest[_overlaps(boxes[block], boxes[rest], threshold).any(axis=0)]] = False
    return np.flatnonzero(alive)


def _overlaps(first: NDArray[np.float32], second: NDArray[np.float32], threshold: float) -> NDArray[np.bool_]:
    """Which pairs have an intersection over union above the threshold; two empty boxes have none."""
    x0, y0, x1, y1 = first.T[:, :, None]
    other_x0, other_y0, other_x1, other_y1 = second.T[:, None, :]
    # In place, for fresh memory costs more than the sums.
    width = np.minimum(x1, other_x1)
    width -= np.maximum(x0, other_x0)
    height = np.minimum(y1, other_y1)
    height -= np.maximum(y0, other_y0)
    intersection = np.maximum(width, 0, out=width)
    intersection *= np.maximum(height, 0, out=height)
    union = (x1 - x0) * (y1 - y0) + (other_x1 - other_x0) * (other_y1 - other_y0)
    union -= intersection
    with np.errstate(divide="ignore", invalid="ignore"):
        intersection /= union
    result: NDArray[np.bool_] = intersection > np.float32(threshold)
    return result
