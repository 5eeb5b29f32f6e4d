"""Convolutions with a leaky ReLU: what all of NanoDet-Plus is made of. Norms are folded into weight and bias.

Shapes: N images, C channels, H, W height and width of a feature map.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

SLOPE = 0.1  # of the leaky ReLU where its input is negative


def conv(in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution that keeps the size at stride 1; at stride 2 an odd size is rounded up."""
    return nn.Conv2d(in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, groups=groups)


def activate(features: Tensor) -> Tensor:
    """The leaky ReLU, in place."""
    return F.leaky_relu(features, SLOPE, inplace=True)


class SeparableConv(nn.Module):
    """A depthwise, then a 1x1 convolution, each with its activation (MobileNet, arXiv:1704.04861)."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, *, stride: int = 1) -> None:
        super().__init__()
        self.depthwise = conv(in_channels, in_channels, kernel, stride=stride, groups=in_channels)
        self.pointwise = conv(in_channels, out_channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C', H / stride, W / stride)."""
        return activate(self.pointwise(activate(self.depthwise(features))))
