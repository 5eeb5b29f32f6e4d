"""What the mask heads read: the detector's pyramid fused at stride 8, and with the trunk's edges at stride 4.

A large object spans many cells of the finest level, none of which sees all of it: so every level has a say in each
cell, as in Panoptic FPN (arXiv:1901.02446).

Shapes: N images, C channels, h, w of a level's map.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from pointrend.config.schema import MaskFeaturesConfig
from pointrend.modeling.layers import ConvNorm
from pointrend.modeling.one_stage.ghost_pan import STRIDES as LEVEL_STRIDES
from pointrend.modeling.one_stage.shufflenet_v2 import STEM_CHANNELS

STRIDES = {"p2": 4, "p3": 8}


class MaskFeatures(nn.Module):
    """``p3``, all levels fused, and ``p2``, which adds the stem's features at stride 2, read by a strided kernel."""

    def __init__(self, level_channels: int, config: MaskFeaturesConfig) -> None:
        super().__init__()
        channels, norm = config.channels, config.norm
        for level in range(3, 3 + len(LEVEL_STRIDES)):
            self.add_module(f"lateral{level}", ConvNorm(level_channels, channels, 1, norm=norm))
        self.fused = nn.Sequential(*(SeparableBlock(channels, norm) for _ in range(config.num_conv)))
        self.edges = ConvNorm(STEM_CHANNELS, channels, 3, stride=2, norm=norm)
        self.fine = nn.Sequential(*(SeparableBlock(channels, norm) for _ in range(config.num_conv)))

    def forward(self, stem: Sequence[Tensor], levels: Sequence[Tensor]) -> dict[str, Tensor]:
        """Map the trunk's features at stride 2 and the pyramid's levels to ``p2`` and ``p3``, (N, C, h, w) each."""
        size = levels[0].shape[2:]
        total: Tensor = self.get_submodule("lateral3")(levels[0])
        for level, features in enumerate(levels[1:], start=4):
            lateral = self.get_submodule(f"lateral{level}")(features)
            total = total + F.interpolate(lateral, size=size, mode="bilinear", align_corners=False)
        fused = self.fused(F.relu(total, inplace=True))
        upper = F.interpolate(fused, scale_factor=2.0, mode="bilinear", align_corners=False)
        fine = self.fine(F.relu(self.edges(stem[0]) + upper, inplace=True))
        return {"p2": fine, "p3": fused}


class SeparableBlock(nn.Module):
    """A depthwise 3x3 convolution, then a 1x1 one, added to the input before a ReLU (ResNet, arXiv:1512.03385)."""

    def __init__(self, channels: int, norm: str) -> None:
        super().__init__()
        self.depthwise = ConvNorm(channels, channels, 3, groups=channels, norm=norm)
        self.pointwise = ConvNorm(channels, channels, 1, norm=norm)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, C, h, w) to the same shape."""
        return F.relu(features + self.pointwise(self.depthwise(features)), inplace=True)
