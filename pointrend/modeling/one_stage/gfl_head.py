"""NanoDet-Plus's head, by Generalized Focal Loss (arXiv:2006.04388): class scores and distributions of distances.

Every cell of a level predicts, for each class, how well a box of it would fit (its score), and how far each side of
the box lies from the cell's left top corner: as probabilities of 0, 1, .. B - 1 strides, whose mean is the distance.

Shapes: N images, C channels, K classes, B bins a side, A cells of all levels, D detections, h, w of a level's map.
Boxes are (x0, y0, x1, y1) in pixels of the network's input.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pointrend.config.schema import GFLHeadConfig
from pointrend.modeling.boxes import clip_boxes, grouped_nms, nonempty
from pointrend.modeling.one_stage.ghost_pan import STRIDES
from pointrend.modeling.one_stage.layers import SeparableConv, conv
from pointrend.modeling.roi_heads.box_head import Detections


class GFLHead(nn.Module):
    """Separable convolutions and a prediction, with weights of their own on each level."""

    def __init__(self, channels: int, num_classes: int, config: GFLHeadConfig) -> None:
        super().__init__()
        self.config = config
        for level in range(3, 3 + len(STRIDES)):
            layers = [SeparableConv(channels, channels, config.kernel) for _ in range(config.num_conv)]
            self.add_module(f"tower{level}", nn.Sequential(*layers))
            self.add_module(f"predict{level}", conv(channels, num_classes + 4 * config.bins, 1))

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """Map levels (N, C, h, w) to (N, K + 4B, h, w) each: class logits, then bins of left, top, right, bottom."""
        return [
            self.get_submodule(f"predict{level}")(self.get_submodule(f"tower{level}")(features))
            for level, features in enumerate(levels, start=3)
        ]


def by_cell(maps: Sequence[Tensor], num_classes: int) -> tuple[Tensor, Tensor]:
    """What :class:`GFLHead` gives as class logits (N, A, K) and logits of bins (N, A, 4, B), level by level."""
    cells = torch.cat([each.flatten(2) for each in maps], dim=2).transpose(1, 2)
    logits, bins = cells[:, :, :num_classes], cells[:, :, num_classes:]
    return logits, bins.reshape(*bins.shape[:2], 4, -1)


def cell_corners(maps: Sequence[Tensor]) -> Tensor:
    """Left top corner and stride (A, 3) of every cell, level by level, as (x, y, stride) in pixels."""
    corners = []
    for each, stride in zip(maps, STRIDES, strict=True):
        height, width = each.shape[2:]
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        corners.append(torch.stack([x * stride, y * stride, torch.full_like(x, stride)], dim=2).flatten(0, 1))
    return torch.cat(corners).to(maps[0].device, torch.float32)


def decode_distances(corners: Tensor, bins: Tensor) -> Tensor:
    """Boxes (A, 4) from corners and strides (A, 3) and logits of bins (A, 4, B)."""
    steps = torch.arange(bins.shape[2], dtype=bins.dtype, device=bins.device)
    distances = (bins.softmax(dim=2) @ steps) * corners[:, 2:]
    return torch.cat([corners[:, :2] - distances[:, :2], corners[:, :2] + distances[:, 2:]], dim=1)


def select_cells(
    logits: Tensor, bins: Tensor, corners: Tensor, image_size: tuple[int, int], config: GFLHeadConfig
) -> Detections:
    """Turn one image's predictions into detections: score threshold, suppression by class, and the best of all.

    Args:
        logits: (A, K).
        bins: (A, 4, B).
        corners: (A, 3), see :func:`cell_corners`.
        image_size: height and width before padding; boxes are clipped to it.
        config: thresholds, which hold for scores as the network gives them, and the calibration.
    """
    probabilities = logits.sigmoid()
    candidates = (probabilities > config.score_threshold) & bins.isfinite().all(dim=2).all(dim=1)[:, None]
    cells, classes = candidates.nonzero().unbind(1)
    # Decoded once a cell, though it may be detected as several classes.
    seen, place = torch.unique(cells, return_inverse=True)
    boxes = clip_boxes(decode_distances(corners[seen], bins[seen]), *image_size)[place]
    scores = probabilities[cells, classes]
    full = nonempty(boxes)  # beyond the image, where it is padded, a clipped box has no area
    boxes, scores, classes = boxes[full], scores[full], classes[full]
    kept = grouped_nms(boxes, scores, classes, config.nms_threshold)[: config.max_detections]
    return Detections(boxes[kept], calibrated(scores[kept], *config.calibration), classes[kept])


def calibrated(scores: Tensor, slope: float, offset: float) -> Tensor:
    """Scores as probabilities of being right: Platt scaling (1999), a line through their logits.

    A quality focal loss makes a score how well a box fits, which is less than how surely it is right: of boxes with
    0.7, nine in ten are. Slope and offset are fitted by ``scripts/calibrate_scores.py``; the order of scores, and so
    average precision, stays.

    Args:
        scores: (D) in 0..1.
        slope: positive; 1 with an offset of 0 returns the scores as they are.
        offset: added to the logits.
    """
    if (slope, offset) == (1.0, 0.0):
        return scores
    return torch.sigmoid(slope * torch.logit(scores) + offset)
