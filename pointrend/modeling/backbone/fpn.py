"""Feature pyramid (FPN, arXiv:1612.03144): every level strong in meaning, at strides 4 to 64.

Shapes: N images, C channels (equal on all levels), H, W height and width of the input.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from pointrend.config.schema import EfficientNetConfig, FPNConfig, ResNetConfig
from pointrend.modeling.backbone.efficientnet import EfficientNetLite
from pointrend.modeling.backbone.resnet import STAGES, ResNet
from pointrend.modeling.layers import ConvNorm

LEVELS = ("p2", "p3", "p4", "p5", "p6")
STRIDES = {"p2": 4, "p3": 8, "p4": 16, "p5": 32, "p6": 64}


class FPN(nn.Module):
    """The backbone: a trunk at ``bottom_up``, and the pyramid over its stages."""

    def __init__(self, trunk: ResNetConfig | EfficientNetConfig, config: FPNConfig) -> None:
        super().__init__()
        self.bottom_up = ResNet(trunk) if isinstance(trunk, ResNetConfig) else EfficientNetLite(trunk)
        for level, stage in enumerate(STAGES, start=2):
            in_channels = self.bottom_up.out_channels[stage]
            self.add_module(f"fpn_lateral{level}", ConvNorm(in_channels, config.channels, 1, norm=config.norm))
            self.add_module(f"fpn_output{level}", ConvNorm(config.channels, config.channels, 3, norm=config.norm))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Compute the pyramid.

        Args:
            images: (N, 3, H, W) float32, normalised; H and W are multiples of 32.

        Returns:
            ``p2`` .. ``p6``: (N, C, H / stride, W / stride).
        """
        stages = self.bottom_up(images)
        features: dict[str, Tensor] = {}
        top_down: Tensor | None = None
        for level, stage in reversed(list(enumerate(STAGES, start=2))):
            merged: Tensor = self.get_submodule(f"fpn_lateral{level}")(stages[stage])
            if top_down is not None:
                merged = merged + F.interpolate(top_down, scale_factor=2.0, mode="nearest")
            features[f"p{level}"] = self.get_submodule(f"fpn_output{level}")(merged)
            top_down = merged
        features["p6"] = F.max_pool2d(features["p5"], kernel_size=1, stride=2)
        return {name: features[name] for name in LEVELS}
