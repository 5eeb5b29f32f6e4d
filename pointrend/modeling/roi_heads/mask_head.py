"""Mask heads of constant resolution: PointRend's coarse head and Mask R-CNN's convolutional head.

Shapes: R regions, C channels, K classes, X context maps, S side of the sampled grid, M side of the mask.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pointrend.config.schema import CoarseMaskConfig, ConvMaskConfig


class CoarseMaskHead(nn.Module):
    """PointRend's coarse head (arXiv:1912.08193, section 4.1): a small fully connected network, M = 7.

    Beside masks it may give context maps, which only the point head reads, and which learn through the points alone:
    where one mask stands for all classes, it tells the points too little of the object.
    """

    def __init__(self, channels: int, num_classes: int, config: CoarseMaskConfig) -> None:
        super().__init__()
        self.config = config
        self.num_classes = num_classes
        self.num_maps = num_classes + config.context_maps
        # Only where it reduces: as in published checkpoints, which lack it otherwise.
        self.reduce_channel_dim_conv = nn.Conv2d(channels, config.conv_dim, 1) if channels > config.conv_dim else None
        inner = min(channels, config.conv_dim)
        self.reduce_spatial_dim_conv = nn.Conv2d(inner, config.conv_dim, 2, stride=2)
        inputs = config.conv_dim * (config.pooler_resolution // 2) ** 2
        for index in range(1, config.num_fc + 1):
            self.add_module(f"fc{index}", nn.Linear(inputs, config.fc_dim))
            inputs = config.fc_dim
        self.prediction = nn.Linear(inputs, self.num_maps * config.side**2)

    def forward(self, sampled: Tensor) -> Tensor:
        """Map features on a regular grid (R, C, S, S) to logits of all classes and context (R, K + X, M, M)."""
        hidden = sampled
        if self.reduce_channel_dim_conv is not None:
            hidden = F.relu(self.reduce_channel_dim_conv(hidden), inplace=True)
        hidden = F.relu(self.reduce_spatial_dim_conv(hidden), inplace=True).flatten(1)
        for index in range(1, self.config.num_fc + 1):
            hidden = F.relu(self.get_submodule(f"fc{index}")(hidden), inplace=True)
        logits: Tensor = self.prediction(hidden)
        # shape[0], not len(): a conversion to another format takes the latter for a constant.
        return logits.view(sampled.shape[0], self.num_maps, self.config.side, self.config.side)


class ConvMaskHead(nn.Module):
    """Mask R-CNN's head (arXiv:1703.06870): convolutions, a doubling, and a 1x1 predictor; M = 2S.

    ``layers`` maps pooled features to what the predictor sees, (R, C', M, M); an engine may put its own there.
    """

    def __init__(self, channels: int, num_classes: int, config: ConvMaskConfig) -> None:
        super().__init__()
        self.config = config
        for index in range(1, config.num_conv + 1):
            self.add_module(f"mask_fcn{index}", nn.Conv2d(channels, config.conv_dim, 3, padding=1))
            channels = config.conv_dim
        self.deconv = nn.ConvTranspose2d(channels, config.conv_dim, 2, stride=2)
        self.predictor = nn.Conv2d(config.conv_dim, num_classes, 1)
        self.layers: Callable[[Tensor], Tensor] = self._layers

    def forward(self, pooled: Tensor) -> Tensor:
        """Map pooled features (R, C, S, S) to logits of all classes (R, K, M, M)."""
        logits: Tensor = self.predictor(self.layers(pooled))
        return logits

    def predict(self, pooled: Tensor, classes: Tensor) -> Tensor:
        """Map pooled features (R, C, S, S) to logits (R, M, M) of one class (R,) each; nothing else is computed."""
        hidden = self.layers(pooled)
        weights = self.predictor.weight[classes].flatten(1)  # (R, C)
        logits = torch.bmm(weights[:, None], hidden.flatten(2)).view(len(hidden), *hidden.shape[2:])
        assert self.predictor.bias is not None  # nn.Conv2d has one unless told otherwise
        return logits + self.predictor.bias[classes][:, None, None]

    def _layers(self, pooled: Tensor) -> Tensor:
        hidden = pooled
        for index in range(1, self.config.num_conv + 1):
            hidden = F.relu(self.get_submodule(f"mask_fcn{index}")(hidden), inplace=True)
        return F.relu(self.deconv(hidden), inplace=True)
