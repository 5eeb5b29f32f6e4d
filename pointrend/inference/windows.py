"""A part of an image seen larger than a network's input: in overlapping windows, whose feature maps are put together.

Every window has the size that the network gives an image of that shape, so that engines which know one size only run it
too. Neighbours overlap; each gives the cells that are further from its own edge.

Shapes: H, W height and width in pixels, C channels, h, w of a feature map in cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from pointrend.config.schema import NetworkConfig
from pointrend.modeling.backbone.fpn import STRIDES
from pointrend.modeling.instance_network import InstanceNetwork
from pointrend.modeling.point_rend import FeatureMap
from pointrend.modeling.preprocess import SIZE_DIVISOR, network_size, to_input
from pointrend.modeling.roi_heads.point_mask_head import FINE_LEVEL

OVERLAP = 0.2  # of a window's side, at least


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows along one axis.

    Attributes:
        side: of a window, in the network's pixels.
        count: how many there are.
    """

    side: int
    count: int

    @property
    def step(self) -> int:
        """From a window's start to the next one's: whole cells of every level."""
        return max(int((1 - OVERLAP) * self.side) // SIZE_DIVISOR * SIZE_DIVISOR, SIZE_DIVISOR)

    @property
    def length(self) -> int:
        """What all of them cover, in the network's pixels."""
        return (self.count - 1) * self.step + self.side

    def cells(self, index: int, stride: int) -> slice:
        """Which cells of a window are its own: up to the middle of each overlap."""
        cut = (self.side - self.step) // 2 // stride
        first = 0 if index == 0 else cut
        return slice(first, None if index == self.count - 1 else self.step // stride + cut)


def look_closer(
    model: InstanceNetwork, part: NDArray[np.uint8], rows: int, columns: int, device: torch.device | str
) -> tuple[FeatureMap, tuple[int, int]]:
    """The feature map that points read, of a part of an image.

    Args:
        model: runs once a window, one after the other.
        part: (H, W, 3) uint8 RGB.
        rows, columns: of windows; one of each is a plain look.
        device: where the model's weights are.

    Returns:
        the map, and the size (height, width) in the network's pixels to which the part was resized for it.
    """
    down, across = windows(part.shape[0], part.shape[1], rows, columns, model.config)
    size = down.length, across.length
    resized = np.asarray(Image.fromarray(part).resize(size[::-1], Image.Resampling.BILINEAR))
    stride = STRIDES[FINE_LEVEL]
    lines: list[Tensor] = []
    for row in range(rows):
        top = row * down.step
        line: list[Tensor] = []
        for column in range(columns):
            left = column * across.step
            window = resized[top : top + down.side, left : left + across.side]
            images, _ = to_input(np.ascontiguousarray(window), model.config)
            fine = model.feature_maps(images.to(device))[FINE_LEVEL]
            line.append(fine[:, :, down.cells(row, stride), across.cells(column, stride)])
        lines.append(torch.cat(line, dim=3))
    return FeatureMap.of(torch.cat(lines, dim=2), stride), size


def fine_map(features: dict[str, Tensor]) -> FeatureMap:
    """Of one image's feature maps, the one that points read."""
    return FeatureMap.of(features[FINE_LEVEL], STRIDES[FINE_LEVEL])


def windows(height: int, width: int, rows: int, columns: int, config: NetworkConfig) -> tuple[Windows, Windows]:
    """The windows down and across a part of an image of (height, width) pixels."""
    side_down, side_across = network_size(height, width, config)
    return Windows(side_down, rows), Windows(side_across, columns)
