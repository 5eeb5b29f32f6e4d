"""Residual networks (ResNet, arXiv:1512.03385; ResNeXt, arXiv:1611.05431): the trunk below the feature pyramid.

Shapes: N images, C channels, H, W height and width of the input.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from pointrend.config.schema import ResNetConfig
from pointrend.errors import ConfigError
from pointrend.modeling.layers import ConvNorm

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
STAGES = ("res2", "res3", "res4", "res5")  # strides 4, 8, 16, 32


class Stem(nn.Module):
    """The first convolution and pooling: stride 4 in all."""

    def __init__(self, channels: int, norm: str) -> None:
        super().__init__()
        self.conv1 = ConvNorm(3, channels, 7, stride=2, norm=norm)

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, 3, H, W) to (N, C, H / 4, W / 4)."""
        return F.max_pool2d(F.relu(self.conv1(images), inplace=True), kernel_size=3, stride=2, padding=1)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut, for depths 18 and 34."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int, norm: str) -> None:
        super().__init__()
        self.shortcut = _shortcut(in_channels, out_channels, stride, norm)
        self.conv1 = ConvNorm(in_channels, out_channels, 3, stride=stride, norm=norm)
        self.conv2 = ConvNorm(out_channels, out_channels, 3, norm=norm)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C', H / stride, W / stride)."""
        out = F.relu(self.conv1(features), inplace=True)
        out = self.conv2(out)
        out += features if self.shortcut is None else self.shortcut(features)
        return F.relu(out, inplace=True)


class BottleneckBlock(nn.Module):
    """1x1, 3x3 (in groups) and 1x1 convolutions around a shortcut, for depths from 50 on.

    Args:
        stride_in_1x1: the first convolution carries the stride (the original networks), not the second (ResNeXt).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        inner_channels: int,
        stride: int,
        groups: int,
        stride_in_1x1: bool,
        norm: str,
    ) -> None:
        super().__init__()
        stride_1x1, stride_3x3 = (stride, 1) if stride_in_1x1 else (1, stride)
        self.shortcut = _shortcut(in_channels, out_channels, stride, norm)
        self.conv1 = ConvNorm(in_channels, inner_channels, 1, stride=stride_1x1, norm=norm)
        self.conv2 = ConvNorm(inner_channels, inner_channels, 3, stride=stride_3x3, groups=groups, norm=norm)
        self.conv3 = ConvNorm(inner_channels, out_channels, 1, norm=norm)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C', H / stride, W / stride)."""
        out = F.relu(self.conv1(features), inplace=True)
        out = F.relu(self.conv2(out), inplace=True)
        out = self.conv3(out)
        out += features if self.shortcut is None else self.shortcut(features)
        return F.relu(out, inplace=True)


class ResNet(nn.Module):
    """Stem and four stages.

    Raises:
        ConfigError: a depth other than 18, 34, 50, 101 and 152, or groups in a network of basic blocks.
    """

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        if config.depth not in BLOCKS:
            raise ConfigError(f"RESNETS.DEPTH must be one of {', '.join(map(str, BLOCKS))}, not {config.depth}.")
        if config.depth < 50 and config.groups != 1:
            raise ConfigError(f"RESNETS.NUM_GROUPS must be 1 at depth {config.depth}, not {config.groups}.")
        self.stem = Stem(config.stem_channels, config.norm)
        self.out_channels = {stage: config.res2_channels * 2**index for index, stage in enumerate(STAGES)}
        in_channels = config.stem_channels
        for index, stage in enumerate(STAGES):
            blocks = []
            for block in range(BLOCKS[config.depth][index]):
                stride = 2 if index > 0 and block == 0 else 1
                blocks.append(_block(config, in_channels, index, stride))
                in_channels = self.out_channels[stage]
            self.add_module(stage, nn.Sequential(*blocks))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Map images (N, 3, H, W) to ``res2`` .. ``res5`` at strides 4 .. 32."""
        features = {}
        out = self.stem(images)
        for stage in STAGES:
            out = self.get_submodule(stage)(out)
            features[stage] = out
        return features


def _block(config: ResNetConfig, in_channels: int, stage: int, stride: int) -> nn.Module:
    out_channels = config.res2_channels * 2**stage
    if config.depth < 50:
        return BasicBlock(in_channels, out_channels, stride=stride, norm=config.norm)
    return BottleneckBlock(
        in_channels,
        out_channels,
        inner_channels=config.groups * config.width_per_group * 2**stage,
        stride=stride,
        groups=config.groups,
        stride_in_1x1=config.stride_in_1x1,
        norm=config.norm,
    )


def _shortcut(in_channels: int, out_channels: int, stride: int, norm: str) -> ConvNorm | None:
    if in_channels == out_channels and stride == 1:
        return None
    return ConvNorm(in_channels, out_channels, 1, stride=stride, norm=norm)
