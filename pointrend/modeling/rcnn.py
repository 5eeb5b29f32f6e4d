"""PointRend R-CNN and Mask R-CNN, put together from their parts.

Module names are those of published checkpoints. What follows the backbone works on one image, whose maps are
(1, C, H, W).

Shapes: R regions, D detections, C channels, K classes, S side of a mask in cells. Boxes are (x0, y0, x1, y1) in
pixels of the network's input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from pointrend.config.schema import POOLED_LEVELS, ModelConfig
from pointrend.errors import ConfigError
from pointrend.modeling.backbone.fpn import FPN, LEVELS, STRIDES
from pointrend.modeling.instance_network import InstanceNetwork
from pointrend.modeling.roi_heads.box_head import BoxHead, BoxPredictor, Detections, select_detections
from pointrend.modeling.roi_heads.mask_chunk import MaskChunk
from pointrend.modeling.roi_heads.mask_head import ConvMaskHead
from pointrend.modeling.roi_heads.point_mask_head import REGIONS_AT_ONCE, PointRendMaskHead
from pointrend.modeling.roi_heads.roi_align import pool_regions
from pointrend.modeling.rpn import RPN

__all__ = ["RCNN", "Detections", "RoIHeads"]

# The pyramid, p2 .. p6; and, a level, the logits (1, A, H, W) and offsets (1, 4A, H, W) of the RPN's A anchors a cell.
TrunkMaps = tuple[dict[str, Tensor], list[Tensor], list[Tensor]]
POOLED_STRIDES = tuple(STRIDES[level] for level in POOLED_LEVELS)


class RoIHeads(nn.Module):
    """What looks at single regions: ``box_head``, ``box_predictor`` and ``mask_head``.

    A PointRend may carry Mask R-CNN's head too, as ``conv_mask_head``, to compare both on the same features.
    ``classify`` maps pooled features (R, C, S, S) to class logits and box offsets; an engine may put its own there.

    Raises:
        ConfigError: the configuration has no mask head, or half of PointRend's.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.fpn.channels
        self.box_head = BoxHead(channels, config.box_head)
        self.box_predictor = BoxPredictor(
            self.box_head.out_features, config.num_classes, class_agnostic=config.box_head.class_agnostic
        )
        self.classify: Callable[[Tensor], tuple[Tensor, Tensor]] = self._classify
        self.mask_head: PointRendMaskHead | ConvMaskHead
        self.conv_mask_head: ConvMaskHead | None = None
        if (config.coarse_mask is None) != (config.point_head is None):
            raise ConfigError("PointRend needs both coarse_mask and point_head.")
        if config.coarse_mask is None or config.point_head is None:
            if config.conv_mask is None:
                raise ConfigError("A model needs PointRend's coarse_mask and point_head, or Mask R-CNN's conv_mask.")
            classes = 1 if config.class_agnostic_mask else config.num_classes
            self.mask_head = ConvMaskHead(channels, classes, config.conv_mask)
            return
        self.mask_head = PointRendMaskHead(
            channels,
            config.num_classes,
            config.coarse_mask,
            config.point_head,
            class_agnostic=config.class_agnostic_mask,
        )
        if config.conv_mask is not None:
            self.conv_mask_head = ConvMaskHead(channels, config.num_classes, config.conv_mask)

    def forward(self, features: dict[str, Tensor], boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits (R, K + 1), background last, and box offsets (R, 4K or 4) for proposals (R, 4)."""
        return self.classify(self.pool(features, boxes, self.config.box_head.pooler_resolution))

    def _classify(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        logits, offsets = self.box_predictor(self.box_head(pooled))
        return logits, offsets

    def pool(self, features: dict[str, Tensor], boxes: Tensor, bins: int) -> Tensor:
        """RoIAlign of boxes (R, 4) from the level that fits each: (R, C, bins, bins)."""
        return pool_regions([features[level] for level in POOLED_LEVELS], POOLED_STRIDES, boxes, bins)

    def mask_logits(self, features: dict[str, Tensor], boxes: Tensor, classes: Tensor, refinement: int) -> Tensor:
        """See :meth:`InstanceNetwork.mask_logits`."""
        if isinstance(self.mask_head, PointRendMaskHead):
            masks: Tensor = self.mask_head(features, boxes, classes, refinement)
            return masks
        rows = torch.zeros_like(classes) if self.config.class_agnostic_mask else classes
        return self._conv_logits(self.mask_head, features, boxes, rows)

    def mask_chunks(
        self, features: dict[str, Tensor], boxes: Tensor, classes: Tensor, refinement: int
    ) -> Iterator[MaskChunk]:
        """See :meth:`InstanceNetwork.mask_chunks`."""
        if not isinstance(self.mask_head, PointRendMaskHead):
            raise ValueError("This model does not refine its masks at points.")
        return self.mask_head.chunks(features, boxes, classes, refinement)

    def last_points(self, features: dict[str, Tensor], boxes: Tensor, classes: Tensor, refinement: int) -> Tensor:
        """See :meth:`InstanceNetwork.last_points`."""
        if not isinstance(self.mask_head, PointRendMaskHead):
            raise ValueError("This model does not refine its masks at points.")
        return self.mask_head.last_points(features, boxes, classes, refinement)

    def constant_mask_logits(self, features: dict[str, Tensor], boxes: Tensor, classes: Tensor) -> Tensor:
        """See :meth:`InstanceNetwork.constant_mask_logits`."""
        if self.conv_mask_head is None:
            raise ValueError("This model has no second, convolutional mask head.")
        return self._conv_logits(self.conv_mask_head, features, boxes, classes)

    def _conv_logits(self, head: ConvMaskHead, features: dict[str, Tensor], boxes: Tensor, rows: Tensor) -> Tensor:
        bins = head.config.pooler_resolution
        pooled = self.pool(features, boxes, bins)
        masks = boxes.new_empty(len(boxes), 2 * bins, 2 * bins)
        for start in range(0, len(boxes), REGIONS_AT_ONCE):
            chunk = slice(start, start + REGIONS_AT_ONCE)
            masks[chunk] = head.predict(pooled[chunk], rows[chunk])
        return masks


class RCNN(InstanceNetwork):
    """The whole network: ``backbone``, ``proposal_generator`` and ``roi_heads``.

    ``trunk`` maps an image (1, 3, H, W) to :data:`TrunkMaps`, and ``pyramid`` to its feature maps alone; an engine may
    put its own there.

    Raises:
        ConfigError: a configuration that cannot be built.
    """

    config: ModelConfig

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = FPN(config.trunk, config.fpn)
        self.proposal_generator = RPN(config.fpn.channels, config.rpn)
        self.roi_heads = RoIHeads(config)
        self.trunk: Callable[[Tensor], TrunkMaps] = self._trunk
        self.pyramid: Callable[[Tensor], dict[str, Tensor]] = self._pyramid

    def detect(self, images: Tensor, image_size: tuple[int, int]) -> tuple[dict[str, Tensor], Detections]:
        """See :meth:`InstanceNetwork.detect`; the feature maps are the pyramid, ``p2`` .. ``p6``."""
        if images.shape[0] != 1:
            raise ValueError(f"detect() takes one image at a time, not {images.shape[0]}.")
        features, anchor_logits, anchor_offsets = self.trunk(images)
        proposals = self.proposal_generator.propose(anchor_logits, anchor_offsets, image_size).boxes
        logits, offsets = self.roi_heads(features, proposals)
        return features, select_detections(logits, offsets, proposals, image_size, self.config.box_head)

    def feature_maps(self, images: Tensor) -> dict[str, Tensor]:
        """See :meth:`InstanceNetwork.feature_maps`."""
        return self.pyramid(images)

    def region_classes(self, features: dict[str, Tensor], boxes: Tensor) -> Tensor | None:
        """See :meth:`InstanceNetwork.region_classes`; what the box head says of each box as it is."""
        logits, _ = self.roi_heads(features, boxes)
        classes: Tensor = logits[:, :-1].argmax(dim=1)
        return classes

    def _pyramid(self, images: Tensor) -> dict[str, Tensor]:
        # Channels last is the layout in which regions and points are read, and convolutions are no slower in it.
        features: dict[str, Tensor] = self.backbone(images.contiguous(memory_format=torch.channels_last))
        return features

    def _trunk(self, images: Tensor) -> TrunkMaps:
        features = self._pyramid(images)
        return features, *self.proposal_generator.rpn_head([features[level] for level in LEVELS])

    def mask_logits(self, features: dict[str, Tensor], boxes: Tensor, classes: Tensor, refinement: int = 4) -> Tensor:
        """See :meth:`InstanceNetwork.mask_logits`."""
        if refinement < 0:
            raise ValueError(f"refinement must be at least 0, not {refinement}.")
        return self.roi_heads.mask_logits(features, boxes, classes, refinement)

    def mask_chunks(
        self, features: dict[str, Tensor], boxes: Tensor, classes: Tensor, refinement: int
    ) -> Iterator[MaskChunk]:
        """See :meth:`InstanceNetwork.mask_chunks`."""
        return self.roi_heads.mask_chunks(features, boxes, classes, refinement)

    def last_points(self, features: dict[str, Tensor], boxes: Tensor, classes: Tensor, refinement: int) -> Tensor:
        """See :meth:`InstanceNetwork.last_points`."""
        return self.roi_heads.last_points(features, boxes, classes, refinement)

    def mask_heads(self) -> tuple[PointRendMaskHead | None, ConvMaskHead | None]:
        """See :meth:`InstanceNetwork.mask_heads`."""
        heads = self.roi_heads
        if isinstance(heads.mask_head, PointRendMaskHead):
            return heads.mask_head, heads.conv_mask_head
        return None, heads.mask_head

    def constant_mask_logits(self, features: dict[str, Tensor], boxes: Tensor, classes: Tensor) -> Tensor:
        """See :meth:`InstanceNetwork.constant_mask_logits`."""
        return self.roi_heads.constant_mask_logits(features, boxes, classes)
