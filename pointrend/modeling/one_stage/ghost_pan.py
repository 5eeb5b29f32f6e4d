"""GhostPAN, NanoDet-Plus's pyramid: a path aggregation network (arXiv:1803.01534) of ghost blocks (arXiv:1911.11907).

Shapes: N images, C channels (equal on all levels), H, W height and width of a feature map.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pointrend.config.schema import GhostPANConfig
from pointrend.modeling.one_stage.layers import SeparableConv, activate, conv

STRIDES = (8, 16, 32, 64)


class GhostModule(nn.Module):
    """Half of the channels come from a 1x1 convolution, the other half from a cheap depthwise one of the first."""

    def __init__(self, in_channels: int, out_channels: int, *, activates: bool) -> None:
        super().__init__()
        half = out_channels // 2
        self.activates = activates
        self.primary = conv(in_channels, half, 1)
        self.cheap = conv(half, half, 3, groups=half)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C', H, W)."""
        primary = self.primary(features)
        primary = activate(primary) if self.activates else primary
        cheap = self.cheap(primary)
        return torch.cat([primary, activate(cheap) if self.activates else cheap], dim=1)


class GhostBlock(nn.Module):
    """Two ghost modules beside a separable shortcut without activations (GhostNet's bottleneck)."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int) -> None:
        super().__init__()
        self.ghost1 = GhostModule(in_channels, out_channels, activates=True)
        self.ghost2 = GhostModule(out_channels, out_channels, activates=False)
        self.short_depthwise = conv(in_channels, in_channels, kernel, groups=in_channels)
        self.short_project = conv(in_channels, out_channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C', H, W)."""
        shortcut = self.short_project(self.short_depthwise(features))
        out: Tensor = self.ghost2(self.ghost1(features)) + shortcut
        return out


class GhostPAN(nn.Module):
    """The trunk's stages go up to the finest level, then down again, and one level more below."""

    def __init__(self, in_channels: Sequence[int], config: GhostPANConfig) -> None:
        super().__init__()
        channels, kernel = config.channels, config.kernel
        levels = range(3, 3 + len(in_channels))
        for level, inputs in zip(levels, in_channels, strict=True):
            self.add_module(f"reduce{level}", conv(inputs, channels, 1))
        for level in levels[:-1]:
            self.add_module(f"up{level}", GhostBlock(2 * channels, channels, kernel))
        for level in levels[1:]:
            self.add_module(f"halve{level}", SeparableConv(channels, channels, kernel, stride=2))
            self.add_module(f"down{level}", GhostBlock(2 * channels, channels, kernel))
        self.extra_in = SeparableConv(channels, channels, kernel, stride=2)
        self.extra_out = SeparableConv(channels, channels, kernel, stride=2)

    def forward(self, stages: Sequence[Tensor]) -> list[Tensor]:
        """Map stages at strides 8, 16 and 32 to (N, C, H, W) at strides 8, 16, 32 and 64."""
        reduced = [activate(self.get_submodule(f"reduce{level}")(stage)) for level, stage in enumerate(stages, start=3)]
        inner = [reduced[-1]]
        for level in (4, 3):
            upper = F.interpolate(inner[0], scale_factor=2.0, mode="bilinear", align_corners=False)
            inner.insert(0, self.get_submodule(f"up{level}")(torch.cat([upper, reduced[level - 3]], dim=1)))
        out = [inner[0]]
        for level in (4, 5):
            halved = self.get_submodule(f"halve{level}")(out[-1])
            out.append(self.get_submodule(f"down{level}")(torch.cat([halved, inner[level - 3]], dim=1)))
        extra: Tensor = self.extra_in(reduced[-1]) + self.extra_out(out[-1])
        return [*out, extra]
