from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pointrend.modeling.roi_heads.roi_align import assign_levels, pool_regions


def bilinear(plane: Tensor, y: float, x: float) -> Tensor:
    """One sample of (C, H, W) as RoIAlign defines it: the edge's value within one cell of it, nothing beyond."""
    height, width = plane.shape[1:]
    if not (-1 <= y <= height and -1 <= x <= width):
        return plane.new_zeros(len(plane))
    y, x = min(max(y, 0.0), height - 1.0), min(max(x, 0.0), width - 1.0)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    upper = plane[:, top, left] * (left + 1 - x) + plane[:, top, right] * (x - left)
    lower = plane[:, bottom, left] * (left + 1 - x) + plane[:, bottom, right] * (x - left)
    return upper * (top + 1 - y) + lower * (y - top)


def naive_pool(plane: Tensor, stride: int, box: list[float], bins: int) -> Tensor:
    x0, y0, x1, y1 = (edge / stride - 0.5 for edge in box)
    bin_width, bin_height = (x1 - x0) / bins, (y1 - y0) / bins
    across, down = math.ceil(bin_width), math.ceil(bin_height)
    pooled = plane.new_zeros(len(plane), bins, bins)
    for row in range(bins):
        for column in range(bins):
            for i in range(down):
                for j in range(across):
                    y = y0 + bin_height * (row + (i + 0.5) / down)
                    x = x0 + bin_width * (column + (j + 0.5) / across)
                    pooled[:, row, column] += bilinear(plane, y, x) / (down * across)
    return pooled


BOXES = [
    [3.0, 5.0, 40.0, 60.0],
    [0.0, 0.0, 128.0, 96.0],  # the whole map
    [10.2, 7.7, 11.0, 8.1],  # within a cell
    [1.0, 40.0, 127.0, 44.0],  # long and thin
    [-30.0, -20.0, 20.0, 15.0],  # reaches out at the top left
    [110.0, 80.0, 160.0, 130.0],  # reaches out at the bottom right
    [-200.0, -200.0, -100.0, -100.0],  # outside
    [50.0, 50.0, 50.0, 50.0],  # empty
]


@pytest.mark.parametrize("bins", [1, 7, 14])
@pytest.mark.parametrize("stride", [4, 8])
def test_equals_the_naive_loop(stride: int, bins: int) -> None:
    features = torch.rand(1, 3, 96 // stride, 128 // stride, generator=torch.Generator().manual_seed(0))
    pooled = pool_regions([features], [stride], torch.tensor(BOXES), bins)
    expected = torch.stack([naive_pool(features[0], stride, box, bins) for box in BOXES])
    assert torch.allclose(pooled, expected, atol=2e-5)


def test_each_region_reads_its_own_level() -> None:
    strides = [4, 8, 16, 32]
    generator = torch.Generator().manual_seed(1)
    features = [torch.rand(1, 2, 512 // stride, 640 // stride, generator=generator) for stride in strides]
    boxes = [[10.0, 10.0, 60.0, 90.0], [50.0, 40.0, 200.0, 180.0], [5.0, 5.0, 300.0, 280.0], [0.0, 0.0, 640.0, 512.0]]
    assert assign_levels(torch.tensor(boxes), 4).tolist() == [0, 1, 2, 3]
    pooled = pool_regions(features, strides, torch.tensor(boxes), 3)
    for level, box in enumerate(boxes):
        assert torch.allclose(pooled[level], naive_pool(features[level][0], strides[level], box, 3), atol=2e-5)


def test_levels_at_the_limits() -> None:
    sides = torch.tensor([0.0, 1.0, 111.0, 113.0, 223.0, 225.0, 447.0, 449.0, 2000.0])
    boxes = torch.stack([sides * 0, sides * 0, sides, sides], dim=1)
    assert assign_levels(boxes, 4).tolist() == [0, 0, 0, 1, 1, 2, 2, 3, 3]


def test_gradient_with_respect_to_the_features() -> None:
    generator = torch.Generator().manual_seed(2)
    features = torch.rand(1, 2, 6, 8, generator=generator, dtype=torch.float64, requires_grad=True)
    boxes = torch.tensor([[2.0, 3.0, 20.0, 18.0], [-4.0, 0.0, 30.0, 23.0]])
    assert torch.autograd.gradcheck(lambda level: pool_regions([level], [4], boxes, 2), features)


def test_layout_does_not_matter() -> None:
    features = torch.rand(1, 5, 24, 32, generator=torch.Generator().manual_seed(3))
    last = features.contiguous(memory_format=torch.channels_last)
    boxes = torch.tensor(BOXES)
    assert torch.equal(pool_regions([features], [4], boxes, 7), pool_regions([last], [4], boxes, 7))


def test_no_regions() -> None:
    assert pool_regions([torch.rand(1, 5, 24, 32)], [4], torch.zeros(0, 4), 7).shape == (0, 5, 7, 7)
