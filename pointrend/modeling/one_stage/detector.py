"""NanoDet-Plus (RangiLyu, 2021): a trunk, a pyramid and a head; here with what a mask branch reads of the trunk.

Shapes: N images, C channels, K classes, B bins a side, H, W height and width of the input, h, w of a level's map.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from pointrend.config.schema import OneStageConfig
from pointrend.modeling.one_stage.gfl_head import GFLHead
from pointrend.modeling.one_stage.ghost_pan import GhostPAN
from pointrend.modeling.one_stage.shufflenet_v2 import ShuffleNetV2


@dataclass(frozen=True, slots=True)
class DetectorMaps:
    """What a detector makes of images.

    Attributes:
        stem: the trunk's features at strides 2 and 4, (N, 24, H / stride, W / stride) each.
        levels: the pyramid at strides 8, 16, 32 and 64, (N, C, h, w) each.
        predictions: of each level, (N, K + 4B, h, w): see :class:`GFLHead`.
    """

    stem: list[Tensor]
    levels: list[Tensor]
    predictions: list[Tensor]


class Detector(nn.Module):
    """``backbone``, ``pyramid`` and ``head``."""

    def __init__(self, config: OneStageConfig) -> None:
        super().__init__()
        self.backbone = ShuffleNetV2(config.trunk)
        self.pyramid = GhostPAN(self.backbone.out_channels, config.pyramid)
        self.head = GFLHead(config.pyramid.channels, config.num_classes, config.head)

    def forward(self, images: Tensor) -> DetectorMaps:
        """Run all on images (N, 3, H, W), normalised; H and W are multiples of 32."""
        stages = self.backbone(images)
        levels = self.pyramid(stages[2:])
        return DetectorMaps(stages[:2], levels, self.head(levels))
