"""EfficientNet-Lite (EfficientNet, arXiv:1905.11946, without squeeze-and-excitation and with ReLU6): a small trunk.

About 3.4 million parameters before the classifier at variant 0, and weights that were trained on ImageNet exist: what
a model for a laptop's CPU is best made of.

Shapes: N images, C channels, H, W height and width of the input.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from pointrend.config.schema import EfficientNetConfig
from pointrend.errors import ConfigError
from pointrend.modeling.layers import ConvNorm

STEM_CHANNELS = 32  # not scaled in the Lite variants
STAGES = ("res2", "res3", "res4", "res5")  # strides 4, 8, 16, 32: named as a ResNet's, for the pyramid above


@dataclass(frozen=True, slots=True)
class _Group:
    """Blocks of one width; the first carries the stride."""

    expansion: int
    channels: int
    blocks: int
    stride: int
    kernel: int
    stage: str


_GROUPS = (
    _Group(1, 16, 1, 1, 3, "stem"),
    _Group(6, 24, 2, 2, 3, "res2"),
    _Group(6, 40, 2, 2, 5, "res3"),
    _Group(6, 80, 3, 2, 3, "res4"),
    _Group(6, 112, 3, 1, 5, "res4"),
    _Group(6, 192, 4, 2, 5, "res5"),
    _Group(6, 320, 1, 1, 3, "res5"),
)
# Width and depth of the variants lite0 .. lite4, as published with the weights.
_SCALES = ((1.0, 1.0), (1.0, 1.1), (1.1, 1.2), (1.2, 1.4), (1.4, 1.8))


class SameConvNorm(ConvNorm):
    """A convolution whose padding follows TensorFlow's ``SAME``: at stride 2 the odd row and column come last.

    Published weights were trained so; with symmetric padding every cell would look half a pixel beside its place.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, groups: int = 1, norm: str
    ) -> None:
        super().__init__(in_channels, out_channels, kernel, stride=stride, groups=groups, norm=norm)
        if stride == 2:
            self.padding = (0, 0)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C', H / stride, W / stride); H and W are multiples of the stride."""
        if self.stride[0] == 2:
            before = (self.kernel_size[0] - 2) // 2
            after = self.kernel_size[0] - 2 - before
            features = F.pad(features, (before, after, before, after))
        return super().forward(features)


class InvertedResidual(nn.Module):
    """MobileNetV2's block (arXiv:1801.04381): widen, filter each channel on its own, and project back."""

    def __init__(self, in_channels: int, out_channels: int, group: _Group, *, stride: int, norm: str) -> None:
        super().__init__()
        inner = in_channels * group.expansion
        self.shortcut = stride == 1 and in_channels == out_channels
        self.expand = ConvNorm(in_channels, inner, 1, norm=norm) if group.expansion != 1 else None
        self.depthwise = SameConvNorm(inner, inner, group.kernel, stride=stride, groups=inner, norm=norm)
        self.project = ConvNorm(inner, out_channels, 1, norm=norm)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C', H / stride, W / stride)."""
        hidden = features if self.expand is None else F.relu6(self.expand(features), inplace=True)
        out: Tensor = self.project(F.relu6(self.depthwise(hidden), inplace=True))
        return out + features if self.shortcut else out


class EfficientNetLite(nn.Module):
    """Stem and four stages.

    Raises:
        ConfigError: a variant other than 0 to 4.
    """

    def __init__(self, config: EfficientNetConfig) -> None:
        super().__init__()
        if not 0 <= config.variant < len(_SCALES):
            raise ConfigError(f"EFFICIENTNET_LITE.VARIANT must be from 0 to {len(_SCALES) - 1}, not {config.variant}.")
        width, depth = _SCALES[config.variant]
        self.out_channels: dict[str, int] = {}
        in_channels = STEM_CHANNELS
        stages: dict[str, list[nn.Module]] = {"stem": [_Stem(config.norm)], **{stage: [] for stage in STAGES}}
        for index, group in enumerate(_GROUPS):
            out_channels = _round_channels(group.channels * width)
            fixed = index in (0, len(_GROUPS) - 1)  # the Lite variants scale the depth of the inner groups only
            for block in range(group.blocks if fixed else math.ceil(group.blocks * depth)):
                stride = group.stride if block == 0 else 1
                stages[group.stage].append(
                    InvertedResidual(in_channels, out_channels, group, stride=stride, norm=config.norm)
                )
                in_channels = out_channels
            self.out_channels[group.stage] = out_channels
        for stage, blocks in stages.items():
            self.add_module(stage, nn.Sequential(*blocks))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Map images (N, 3, H, W) to ``res2`` .. ``res5`` at strides 4 .. 32."""
        features = {}
        out = self.get_submodule("stem")(images)
        for stage in STAGES:
            out = self.get_submodule(stage)(out)
            features[stage] = out
        return features


class _Stem(nn.Module):
    def __init__(self, norm: str) -> None:
        super().__init__()
        self.conv = SameConvNorm(3, STEM_CHANNELS, 3, stride=2, norm=norm)

    def forward(self, images: Tensor) -> Tensor:
        return F.relu6(self.conv(images), inplace=True)


def _round_channels(channels: float, divisor: int = 8) -> int:
    """To a multiple of 8, but never more than a tenth below."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * channels else rounded + divisor
