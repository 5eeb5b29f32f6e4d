"""RoIAlign (Mask R-CNN, arXiv:1703.06870) over a feature pyramid, in plain PyTorch.

Every region is divided into S x S bins; a bin is the mean over a grid of bilinear samples, ceil(bin size) of them
an axis. Bilinear sampling is separable, so a bin is a small weighted sum of cells whose weights are the product of
one axis's weights with the other's: those are found first, without touching the features.

Shapes: R regions, C channels, S bins an axis, G samples a bin and axis at most, L levels; H, W cells of a map.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pointrend.modeling.boxes import box_area
from pointrend.modeling.sampling import feature_rows, weighted_rows

CANONICAL_SIZE = 224  # a region of this size, in pixels, ...
CANONICAL_LEVEL = 4  # ... belongs to this level (FPN, equation 1)
MIN_LEVEL = 2


def assign_levels(boxes: Tensor, count: int) -> Tensor:
    """Index (R,) of the pyramid level, 0 for p2 to ``count - 1``, that fits each of (R, 4) boxes in pixels."""
    sizes = box_area(boxes).clamp(min=0).sqrt()
    levels = torch.floor(CANONICAL_LEVEL + torch.log2(sizes / CANONICAL_SIZE + 1e-8)) - MIN_LEVEL
    return levels.clamp(0, count - 1).long()


def pool_regions(features: Sequence[Tensor], strides: Sequence[int], boxes: Tensor, bins: int) -> Tensor:
    """Pool every region from the pyramid level that fits its size.

    Args:
        features: L maps (1, C, H, W) of one image, from p2 on.
        strides: their L strides.
        boxes: (R, 4) in pixels of the network's input.
        bins: S.

    Returns:
        (R, C, S, S).
    """
    levels = assign_levels(boxes, len(features))
    pooled = features[0].new_empty(len(boxes), features[0].shape[1], bins, bins)
    for index, (level, stride) in enumerate(zip(features, strides, strict=True)):
        members = (levels == index).nonzero().flatten()
        if len(members):
            # Pixel centres lie half a pixel inside: a cell's centre has integer coordinates here ("aligned").
            _pool(level, boxes[members].float() / stride - 0.5, bins, pooled, members)
    return pooled


def _pool(features: Tensor, boxes: Tensor, bins: int, pooled: Tensor, members: Tensor) -> None:
    """Pool regions (R, 4), given in cells, from one map (1, C, H, W) into the rows ``members`` (R,) of ``pooled``."""
    height, width = features.shape[2:]
    rows = feature_rows(features)
    x_first, x_weights, x_counts = _axis(boxes[:, 0], boxes[:, 2], width, bins)
    y_first, y_weights, y_counts = _axis(boxes[:, 1], boxes[:, 3], height, bins)
    # Regions whose bins have equally many terms go together: their terms are one axis's with the other's, broadcast.
    stretch = x_weights.shape[2] + 1
    kinds, kind_of = torch.unique(y_counts * stretch + x_counts, return_inverse=True)
    for number, kind in enumerate(kinds.tolist()):
        alike = (kind_of == number).nonzero().flatten()
        y_count, x_count = divmod(kind, stretch)
        # A weight beyond the edge is zero, but its index must still be one of the map's.
        y = (y_first[alike][:, :, None] + torch.arange(y_count, device=boxes.device)).clamp(max=height - 1)
        x = (x_first[alike][:, :, None] + torch.arange(x_count, device=boxes.device)).clamp(max=width - 1)
        terms = (y * width)[:, :, None, :, None] + x[:, None, :, None, :]
        weights = y_weights[alike][:, :, None, :y_count, None] * x_weights[alike][:, None, :, None, :x_count]
        sums = weighted_rows(rows, terms.flatten(0, 2).flatten(1), weights.flatten(0, 2).flatten(1))
        pooled[members[alike]] = sums.view(len(alike), bins, bins, -1).permute(0, 3, 1, 2)


def _axis(start: Tensor, end: Tensor, length: int, bins: int) -> tuple[Tensor, Tensor, Tensor]:
    """Weights of cells along one axis.

    Args:
        start, end: (R,) region edges in cells.
        length: cells of the map along the axis.

    Returns:
        first cell (R, S) of each bin, weights (R, S, G + 2) of the cells from there on, and how many of them (R,) to
        add up: all that can be other than zero; beyond 3 an even number, for fewer kinds of regions.
    """
    size = end - start
    bin_size = size / bins
    samples = bin_size.ceil().clamp(min=0).long()
    most = int(samples.max()) if len(samples) else 0
    sample = torch.arange(max(most, 1), device=start.device)
    divisor = samples.clamp(min=1)[:, None, None]
    bin_start = start[:, None] + torch.arange(bins, device=start.device) * bin_size[:, None]
    place = bin_start[:, :, None] + (sample + 0.5) * bin_size[:, None, None] / divisor
    counted = (sample < samples[:, None, None]) & (place >= -1) & (place <= length)
    # Within a cell of the edge the edge's own value counts; further out there is nothing.
    place = place.clamp(0, length - 1)
    low = place.floor()
    fraction = place - low
    low = low.long()
    first = low[:, :, 0]
    share = counted / divisor
    weights = place.new_zeros(*place.shape[:2], most + 2)
    relative = (low - first[:, :, None]).clamp(max=weights.shape[2] - 2)
    weights.scatter_add_(2, relative, (1 - fraction) * share)
    weights.scatter_add_(2, relative + 1, fraction * share)
    counts = samples + 1
    return first, weights, counts + (counts % 2) * (counts > 3)
