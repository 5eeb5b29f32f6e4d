"""PointRend on a one-stage detector: what finds the boxes has no regions, only the masks do.

Masks are one for all classes, for rare ones have too few examples of their own: a region's mask is that of the object
that fills it. What the object is like reaches the points by context maps beside the coarse mask.

Shapes: R regions, C channels, S side of a mask in cells. Boxes are (x0, y0, x1, y1) in pixels of the network's input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from pointrend.config.schema import OneStageConfig
from pointrend.modeling.instance_network import InstanceNetwork
from pointrend.modeling.one_stage.detector import Detector, DetectorMaps
from pointrend.modeling.one_stage.gfl_head import by_cell, cell_corners, select_cells
from pointrend.modeling.one_stage.mask_features import STRIDES, MaskFeatures
from pointrend.modeling.roi_heads.box_head import Detections
from pointrend.modeling.roi_heads.mask_chunk import MaskChunk
from pointrend.modeling.roi_heads.mask_head import ConvMaskHead
from pointrend.modeling.roi_heads.point_mask_head import REGIONS_AT_ONCE, PointRendMaskHead
from pointrend.modeling.roi_heads.roi_align import pool_regions

# The maps that masks are read from, p2 and p3; and each level's predictions (1, K + 4B, h, w): see GFLHead.
OneStageMaps = tuple[dict[str, Tensor], list[Tensor]]
COARSE_LEVEL = "p3"


class OneStage(InstanceNetwork):
    """``detector``, ``mask_features``, ``mask_head`` and, where it is configured, ``conv_mask_head``.

    ``trunk`` maps an image (1, 3, H, W) to :data:`OneStageMaps`; an engine may put its own there.
    """

    config: OneStageConfig

    def __init__(self, config: OneStageConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.mask_features.channels
        self.detector = Detector(config)
        self.mask_features = MaskFeatures(config.pyramid.channels, config.mask_features)
        self.mask_head = PointRendMaskHead(
            channels, 1, config.coarse_mask, config.point_head, class_agnostic=True, coarse_level=COARSE_LEVEL
        )
        self.conv_mask_head = None if config.conv_mask is None else ConvMaskHead(channels, 1, config.conv_mask)
        self.trunk: Callable[[Tensor], OneStageMaps] = self._trunk

    def features(self, maps: DetectorMaps) -> dict[str, Tensor]:
        """What the mask heads read, ``p2`` and ``p3``, of what the detector made of images."""
        features: dict[str, Tensor] = self.mask_features(maps.stem, maps.levels)
        return features

    def detect(self, images: Tensor, image_size: tuple[int, int]) -> tuple[dict[str, Tensor], Detections]:
        """See :meth:`InstanceNetwork.detect`; the feature maps are ``p2`` and ``p3``."""
        if images.shape[0] != 1:
            raise ValueError(f"detect() takes one image at a time, not {images.shape[0]}.")
        features, predictions = self.trunk(images)
        return features, self.select(predictions, image_size)

    def feature_maps(self, images: Tensor) -> dict[str, Tensor]:
        """See :meth:`InstanceNetwork.feature_maps`; its trunk is one piece, whose predictions are left."""
        features, _ = self.trunk(images)
        return features

    def region_classes(self, features: dict[str, Tensor], boxes: Tensor) -> Tensor | None:
        """See :meth:`InstanceNetwork.region_classes`: cells are classified, not regions."""
        return None

    def select(self, predictions: list[Tensor], image_size: tuple[int, int]) -> Detections:
        """The detections of one image from each level's predictions (1, K + 4B, h, w)."""
        logits, bins = by_cell(predictions, self.config.num_classes)
        return select_cells(logits[0], bins[0], cell_corners(predictions), image_size, self.config.head)

    def _trunk(self, images: Tensor) -> OneStageMaps:
        maps: DetectorMaps = self.detector(images.contiguous(memory_format=torch.channels_last))
        return self.features(maps), maps.predictions

    def mask_logits(self, features: dict[str, Tensor], boxes: Tensor, classes: Tensor, refinement: int = 4) -> Tensor:
        """See :meth:`InstanceNetwork.mask_logits`."""
        if refinement < 0:
            raise ValueError(f"refinement must be at least 0, not {refinement}.")
        masks: Tensor = self.mask_head(features, boxes, torch.zeros_like(classes), refinement)
        return masks

    def mask_chunks(
        self, features: dict[str, Tensor], boxes: Tensor, classes: Tensor, refinement: int
    ) -> Iterator[MaskChunk]:
        """See :meth:`InstanceNetwork.mask_chunks`."""
        return self.mask_head.chunks(features, boxes, torch.zeros_like(classes), refinement)

    def last_points(self, features: dict[str, Tensor], boxes: Tensor, classes: Tensor, refinement: int) -> Tensor:
        """See :meth:`InstanceNetwork.last_points`."""
        return self.mask_head.last_points(features, boxes, torch.zeros_like(classes), refinement)

    def mask_heads(self) -> tuple[PointRendMaskHead | None, ConvMaskHead | None]:
        """See :meth:`InstanceNetwork.mask_heads`."""
        return self.mask_head, self.conv_mask_head

    def constant_mask_logits(self, features: dict[str, Tensor], boxes: Tensor, classes: Tensor) -> Tensor:
        """See :meth:`InstanceNetwork.constant_mask_logits`."""
        if self.conv_mask_head is None:
            raise ValueError("This model has no second, convolutional mask head.")
        pooled = self.pool(features, boxes, self.conv_mask_head.config.pooler_resolution)
        masks = [self.conv_mask_head(chunk)[:, 0] for chunk in torch.split(pooled, REGIONS_AT_ONCE)]
        side = 2 * pooled.shape[2]
        return torch.cat([boxes.new_empty(0, side, side), *masks])

    def pool(self, features: dict[str, Tensor], boxes: Tensor, bins: int) -> Tensor:
        """RoIAlign of boxes (R, 4) from the level that fits each, ``p2`` or ``p3``: (R, C, bins, bins)."""
        return pool_regions([features[level] for level in STRIDES], tuple(STRIDES.values()), boxes, bins)
