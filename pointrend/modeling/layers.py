"""Convolutions with their normalisation, under the parameter names of published checkpoints.

Shapes: N images, C channels, H, W height and width of a feature map.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pointrend.errors import ConfigError


class BatchNorm(nn.Module):
    """Batch normalisation over (N, C, H, W): batch statistics while training, running ones afterwards.

    Unlike ``torch.nn.BatchNorm2d`` it keeps no count of batches, which nothing here uses and which checkpoints in
    the Caffe2 tradition lack.
    """

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor
    momentum = 0.1
    eps = 1e-5

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    @property
    def fixed(self) -> bool:
        """Whether this is a constant affine map now, so that a convolution can absorb it."""
        return not self.training

    def affine(self) -> tuple[Tensor, Tensor]:
        """Scale and shift (C each) that equal the normalisation by running statistics."""
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        return scale, self.bias - self.running_mean * scale

    def forward(self, features: Tensor) -> Tensor:
        """Normalise (N, C, H, W)."""
        return F.batch_norm(
            features,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            training=self.training,
            momentum=self.momentum,
            eps=self.eps,
        )


class FrozenBatchNorm(BatchNorm):
    """Batch normalisation whose statistics and affine map never change, not even while the rest trains."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        for name in ("weight", "bias"):
            value = getattr(self, name).detach()
            delattr(self, name)
            self.register_buffer(name, value)

    @property
    def fixed(self) -> bool:
        """Always: see :attr:`BatchNorm.fixed`."""
        return True


class ConvNorm(nn.Conv2d):
    """A convolution, then its normalisation: weights at ``weight`` and ``norm.*``.

    Padding keeps the size at stride 1. A constant normalisation is multiplied into the weights on the fly, which is
    far cheaper than another pass over the feature map, and still differentiable.

    Args:
        norm: ``""`` (a bias instead), ``"BN"`` or ``"FrozenBN"``.

    Raises:
        ConfigError: another norm.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, groups: int = 1, norm: str = ""
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=norm == ""
        )
        self.norm = _norm(norm, out_channels)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C', H / stride, W / stride)."""
        if self.norm is None:
            return super().forward(features)
        if not self.norm.fixed:
            normalised: Tensor = self.norm(super().forward(features))
            return normalised
        scale, shift = self.norm.affine()
        folded: Tensor = self._conv_forward(features, self.weight * scale[:, None, None, None], shift)
        return folded


def _norm(name: str, channels: int) -> BatchNorm | None:
    if name == "":
        return None
    if name == "BN":
        return BatchNorm(channels)
    if name == "FrozenBN":
        return FrozenBatchNorm(channels)
    raise ConfigError(f"NORM must be one of '', 'BN', 'FrozenBN', not {name!r}.")
