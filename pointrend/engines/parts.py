"""The dense parts of a network: what an engine may compute in its own way, as functions from tensors to tensors.

Proposals, RoIAlign, suppression, subdivision and pasting stay plain PyTorch; what is between them is a few large
convolutions and matrix products. Each :class:`~.part.Part` holds the modules of one such stretch, can be exported or
converted, and puts whatever runs in its place back into the network.

Shapes: R regions, C channels, K classes, X context maps, A anchors a cell, S side of a pooled grid,
M side of a mask, F hidden features, h, w of a level's map in cells.
"""

from __future__ import annotations

from torch import Tensor

from pointrend.config.schema import EfficientNetConfig
from pointrend.engines.part import Network, Part, Points, Run, Shape
from pointrend.engines.semantic_parts import SemanticTrunk
from pointrend.modeling.backbone.fpn import LEVELS, STRIDES
from pointrend.modeling.instance_network import InstanceNetwork
from pointrend.modeling.one_stage.ghost_pan import STRIDES as PREDICTED_STRIDES
from pointrend.modeling.one_stage.mask_features import STRIDES as MASK_STRIDES
from pointrend.modeling.one_stage.network import OneStage, OneStageMaps
from pointrend.modeling.preprocess import SIZE_DIVISOR
from pointrend.modeling.rcnn import RCNN, TrunkMaps
from pointrend.modeling.roi_heads.mask_head import ConvMaskHead
from pointrend.modeling.roi_heads.point_mask_head import PointRendMaskHead
from pointrend.modeling.semantic import SemanticPointRend


class Trunk(Part):
    """Image (1, 3, H, W) to the pyramid and the RPN head's maps: fifteen maps (1, h, w, C), (1, h, w, A or 4A).

    Channels come last: in this layout regions and points are read.
    """

    name = "trunk"
    takes_images = True
    answers = ("rpn_head.objectness_logits", "rpn_head.anchor_deltas")
    inputs = ((1, 3, -1, -1),)

    def __init__(self, network: RCNN) -> None:
        super().__init__()
        self.backbone = network.backbone
        self.rpn_head = network.proposal_generator.rpn_head
        anchors = self.rpn_head.objectness_logits.out_channels
        self.channels = (network.config.fpn.channels, anchors, 4 * anchors)
        if isinstance(network.config.trunk, EfficientNetConfig):
            # Where the error begins and where it is handed on; narrow in such a network, and so they cost little.
            self.tender = ("backbone.bottom_up.stem", "backbone.fpn_output")

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Run backbone and RPN head."""
        features = self.backbone(images)
        levels = [features[level] for level in LEVELS]
        logits, offsets = self.rpn_head(levels)
        return tuple(each.permute(0, 2, 3, 1) for each in (*levels, *logits, *offsets))

    def shapes(self, *inputs: Shape) -> list[Shape]:
        """See :meth:`Part.shapes`."""
        ((_, _, height, width),) = inputs
        # p6 takes every other cell of p5, the first one always.
        cells = [(-(-height // STRIDES[level]), -(-width // STRIDES[level])) for level in LEVELS]
        return [(1, h, w, channels) for channels in self.channels for h, w in cells]

    def install(self, network: Network, run: Run) -> None:
        """See :meth:`Part.install`."""
        assert isinstance(network, RCNN)  # as the one whose part it is
        count = len(LEVELS)

        def trunk(images: Tensor) -> TrunkMaps:
            maps = [each.permute(0, 3, 1, 2) for each in run(images)]
            features = dict(zip(LEVELS, maps[:count], strict=True))
            return features, maps[count : 2 * count], maps[2 * count :]

        network.trunk = trunk
        network.pyramid = lambda images: trunk(images)[0]
        del network.backbone, network.proposal_generator.rpn_head


class OneStageTrunk(Part):
    """Image (1, 3, H, W) to p2, p3 and the predictions of all levels: six maps (1, h, w, C), (1, h, w, K + 4B).

    Channels come last, as in :class:`Trunk`. A network that takes squares of one side gets a trunk for these only.
    """

    name = "trunk"
    takes_images = True
    answers = tuple(f"detector.head.predict{level}" for level in range(3, 3 + len(PREDICTED_STRIDES)))

    def __init__(self, network: OneStage) -> None:
        super().__init__()
        self.detector = network.detector
        self.mask_features = network.mask_features
        config = network.config
        side = -1 if config.keep_aspect else -(-config.min_size // SIZE_DIVISOR) * SIZE_DIVISOR
        self.inputs = ((1, 3, side, side),)
        self.mask_channels = config.mask_features.channels
        self.predicted_channels = config.num_classes + 4 * config.head.bins

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Run the detector, and what the mask heads read of it."""
        maps = self.detector(images)
        features = self.mask_features(maps.stem, maps.levels)
        return tuple(each.permute(0, 2, 3, 1) for each in (*features.values(), *maps.predictions))

    def shapes(self, *inputs: Shape) -> list[Shape]:
        """See :meth:`Part.shapes`."""
        ((_, _, height, width),) = inputs
        maps = [(stride, self.mask_channels) for stride in MASK_STRIDES.values()]
        maps += [(stride, self.predicted_channels) for stride in PREDICTED_STRIDES]
        return [(1, -(-height // stride), -(-width // stride), channels) for stride, channels in maps]

    def install(self, network: Network, run: Run) -> None:
        """See :meth:`Part.install`."""
        assert isinstance(network, OneStage)  # as the one whose part it is
        count = len(MASK_STRIDES)

        def trunk(images: Tensor) -> OneStageMaps:
            maps = [each.permute(0, 3, 1, 2) for each in run(images)]
            return dict(zip(MASK_STRIDES, maps[:count], strict=True)), maps[count:]

        network.trunk = trunk
        del network.detector, network.mask_features


class Boxes(Part):
    """Pooled features (R, C, S, S) to class logits (R, K + 1) and box offsets (R, 4K or 4)."""

    name = "boxes"
    answers = ("box_predictor.cls_score", "box_predictor.bbox_pred")

    def __init__(self, network: RCNN) -> None:
        super().__init__()
        heads = network.roi_heads
        self.box_head = heads.box_head
        self.box_predictor = heads.box_predictor
        bins = network.config.box_head.pooler_resolution
        self.inputs = ((-1, network.config.fpn.channels, bins, bins),)

    def forward(self, pooled: Tensor) -> tuple[Tensor, ...]:
        """Run box head and predictor."""
        logits, offsets = self.box_predictor(self.box_head(pooled))
        return logits, offsets

    def shapes(self, *inputs: Shape) -> list[Shape]:
        """See :meth:`Part.shapes`."""
        regions = inputs[0][0]
        predictor = self.box_predictor
        return [(regions, predictor.cls_score.out_features), (regions, predictor.bbox_pred.out_features)]

    def install(self, network: Network, run: Run) -> None:
        """See :meth:`Part.install`."""
        assert isinstance(network, RCNN)  # as the one whose part it is

        def classify(pooled: Tensor) -> tuple[Tensor, Tensor]:
            logits, offsets = run(pooled)
            return logits, offsets

        network.roi_heads.classify = classify
        del network.roi_heads.box_head, network.roi_heads.box_predictor


class Coarse(Part):
    """Sampled features (R, C, S, S) to coarse mask logits of all classes, and context maps: (R, K + X, M, M)."""

    name = "coarse"
    answers = ("coarse_head.prediction",)

    def __init__(self, head: PointRendMaskHead, channels: int) -> None:
        super().__init__()
        self.coarse_head = head.coarse_head
        side = head.coarse_head.config.pooler_resolution
        self.inputs = ((-1, channels, side, side),)

    def forward(self, sampled: Tensor) -> tuple[Tensor, ...]:
        """Run the coarse head."""
        return (self.coarse_head(sampled),)

    def shapes(self, *inputs: Shape) -> list[Shape]:
        """See :meth:`Part.shapes`."""
        side = self.coarse_head.config.side
        return [(inputs[0][0], self.coarse_head.num_maps, side, side)]

    def install(self, network: Network, run: Run) -> None:
        """See :meth:`Part.install`; the head stays, since its grid is asked for."""
        assert isinstance(network, InstanceNetwork)  # as the one whose part it is
        head, _ = network.mask_heads()
        assert head is not None  # else there would be no such part
        head.coarse = lambda sampled: run(sampled)[0]


class ConvMask(Part):
    """Pooled features (R, C, S, S) to what the predictor of a convolutional mask head sees, (R, F, M, M)."""

    name = "conv_mask"

    def __init__(self, head: ConvMaskHead, channels: int) -> None:
        super().__init__()
        self.head = head
        self.features = head.config.conv_dim
        bins = head.config.pooler_resolution
        self.inputs = ((-1, channels, bins, bins),)

    def forward(self, pooled: Tensor) -> tuple[Tensor, ...]:
        """Run all but the predictor, which computes one class a region only."""
        return (self.head.layers(pooled),)

    def shapes(self, *inputs: Shape) -> list[Shape]:
        """See :meth:`Part.shapes`."""
        regions, _, bins, _ = inputs[0]
        return [(regions, self.features, 2 * bins, 2 * bins)]

    def install(self, network: Network, run: Run) -> None:
        """See :meth:`Part.install`."""
        assert isinstance(network, InstanceNetwork)  # as the one whose part it is
        _, head = network.mask_heads()
        assert head is not None  # else there would be no such part
        head.layers = lambda pooled: run(pooled)[0]


def parts(network: Network) -> list[Part]:
    """The dense parts that a network has. They share its weights."""
    if isinstance(network, SemanticPointRend):
        points = network.sem_seg_head.point_head
        return [SemanticTrunk(network), Points(points, network.config.fpn.channels, network.config.num_classes)]
    if isinstance(network, OneStage):
        channels = network.config.mask_features.channels
        found: list[Part] = [OneStageTrunk(network)]
    else:
        assert isinstance(network, RCNN)  # there is no third kind
        channels = network.config.fpn.channels
        found = [Trunk(network), Boxes(network)]
    point_head, conv_head = network.mask_heads()
    if point_head is not None:
        maps = point_head.coarse_head.num_maps
        found += [Coarse(point_head, channels), Points(point_head.point_head, channels, maps)]
    if conv_head is not None:
        found.append(ConvMask(conv_head, channels))
    return found
