"""The trunk of a semantic network: all that does not depend on which points are refined.

Shapes: C channels, K classes, h, w of a map at stride 4 in cells.
"""

from __future__ import annotations

from torch import Tensor

from pointrend.config.schema import EfficientNetConfig
from pointrend.engines.part import Network, Part, Run, Shape
from pointrend.modeling.backbone.fpn import STRIDES
from pointrend.modeling.semantic import FINE_LEVEL, SemanticPointRend


class SemanticTrunk(Part):
    """Image (1, 3, H, W) to the features that points read (1, h, w, C), and coarse logits (1, K, h, w).

    The features' channels come last: in this layout points are read.
    """

    name = "trunk"
    takes_images = True
    answers = ("coarse_head.predictor",)
    inputs = ((1, 3, -1, -1),)

    def __init__(self, network: SemanticPointRend) -> None:
        super().__init__()
        self.backbone = network.backbone
        self.coarse_head = network.sem_seg_head.coarse_sem_seg_head
        self.channels = network.config.fpn.channels
        self.num_classes = network.config.num_classes
        if isinstance(network.config.trunk, EfficientNetConfig):  # see :class:`pointrend.engines.parts.Trunk`
            self.tender = ("backbone.bottom_up.stem", "backbone.fpn_output")

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Run backbone and coarse head."""
        features = self.backbone(images)
        return features[FINE_LEVEL].permute(0, 2, 3, 1), self.coarse_head(features).contiguous()

    def shapes(self, *inputs: Shape) -> list[Shape]:
        """See :meth:`Part.shapes`."""
        ((_, _, height, width),) = inputs
        h, w = (-(-side // STRIDES[FINE_LEVEL]) for side in (height, width))
        return [(1, h, w, self.channels), (1, self.num_classes, h, w)]

    def install(self, network: Network, run: Run) -> None:
        """See :meth:`Part.install`."""
        assert isinstance(network, SemanticPointRend)  # as the one whose part it is

        def trunk(images: Tensor) -> tuple[Tensor, Tensor]:
            features, coarse = run(images)
            return features.permute(0, 3, 1, 2), coarse

        network.trunk = trunk
        del network.backbone, network.sem_seg_head.coarse_sem_seg_head
