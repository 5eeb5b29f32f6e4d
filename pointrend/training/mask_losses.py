"""What mask heads learn from: the labelled masks, read inside regions.

Shapes: R regions, C channels, K classes, P points a region.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pointrend.modeling.backbone.fpn import STRIDES
from pointrend.modeling.point_rend import FeatureMap, sample_in_boxes, sample_masks
from pointrend.modeling.roi_heads.mask_head import ConvMaskHead
from pointrend.modeling.roi_heads.point_mask_head import FINE_LEVEL, PointRendMaskHead
from pointrend.training import losses
from pointrend.training.mask_targets import grid_targets, read_masks
from pointrend.training.sample import Sample


@dataclass(frozen=True, slots=True)
class Regions:
    """Regions of one image and what they should be; masks are for the objects among them only."""

    boxes: Tensor  # (R, 4)
    classes: Tensor  # (R,), K for background
    objects: Tensor  # (R,) index of the labelled object, 0 for background


def point_losses(
    head: PointRendMaskHead, features: dict[str, Tensor], regions: Regions, item: Sample, points: int
) -> dict[str, Tensor]:
    """``coarse`` and ``points``, sums over the regions.

    Args:
        head: PointRend's.
        features: of one image, each level (1, C, H, W).
        regions: objects only, whose ``classes`` are rows of the heads' predictors.
        item: the labels.
        points: P.
    """
    boxes, classes, objects = regions.boxes, regions.classes, regions.objects
    fine = FeatureMap.of(features[FINE_LEVEL], STRIDES[FINE_LEVEL])
    coarse = head.coarse_logits(head.coarse_map(features, fine), boxes)
    own_coarse = coarse[torch.arange(len(boxes), device=boxes.device), classes]
    with torch.no_grad():
        places = losses.important_points(own_coarse, points)
    predicted = head.point_head.predict(
        sample_in_boxes(fine, boxes, places),
        sample_masks(coarse, places),
        torch.zeros_like(classes) if head.class_agnostic else classes,
    )
    return {
        "coarse": losses.mask_loss(own_coarse, grid_targets(item.masks, objects, boxes, coarse.shape[-1])),
        "points": losses.mask_loss(predicted, read_masks(item.masks, objects, boxes, places)),
    }


def conv_loss(head: ConvMaskHead, pooled: Tensor, regions: Regions, item: Sample) -> Tensor:
    """The sum over regions of a convolutional head's loss on pooled features (R, C, S, S); arguments as above."""
    logits = head.predict(pooled, regions.classes)
    return losses.mask_loss(logits, grid_targets(item.masks, regions.objects, regions.boxes, logits.shape[-1]))
