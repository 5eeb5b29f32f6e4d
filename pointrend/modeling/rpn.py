"""Region proposal network (Faster R-CNN, arXiv:1506.01497) on a feature pyramid.

Shapes: N images, C channels, H, W height and width of a level's map, A anchors a cell, R proposals. Boxes are
(x0, y0, x1, y1) in pixels of the network's input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pointrend.config.schema import RPNConfig
from pointrend.errors import ConfigError
from pointrend.modeling.backbone.fpn import LEVELS, STRIDES
from pointrend.modeling.boxes import clip_boxes, decode_boxes, grouped_nms, nonempty

OFFSET_WEIGHTS = (1.0, 1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Proposals:
    """Where something may be: boxes (R, 4), and logits (R,) by which they descend."""

    boxes: Tensor
    logits: Tensor


class RPNHead(nn.Module):
    """A convolution shared by all levels, then one logit and four box offsets for each anchor."""

    def __init__(self, channels: int, anchors: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.objectness_logits = nn.Conv2d(channels, anchors, 1)
        self.anchor_deltas = nn.Conv2d(channels, 4 * anchors, 1)

    def forward(self, features: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Map each level (N, C, H, W) to logits (N, A, H, W) and offsets (N, 4A, H, W), an anchor's four together."""
        hidden = [F.relu(self.conv(level), inplace=True) for level in features]
        return [self.objectness_logits(level) for level in hidden], [self.anchor_deltas(level) for level in hidden]


class RPN(nn.Module):
    """Head, anchors, and the choice of proposals.

    Raises:
        ConfigError: the anchors do not fit the five levels, or are not equally many on each.
    """

    def __init__(self, channels: int, config: RPNConfig) -> None:
        super().__init__()
        if len(config.anchor_sizes) != len(LEVELS):
            raise ConfigError(f"ANCHOR_GENERATOR.SIZES needs one list for each of {', '.join(LEVELS)}.")
        counts = {len(sizes) * len(config.aspect_ratios) for sizes in config.anchor_sizes}
        if len(counts) != 1:
            raise ConfigError("ANCHOR_GENERATOR.SIZES must have equally many sizes on each level.")
        self.config = config
        self.rpn_head = RPNHead(channels, counts.pop())

    def forward(self, features: dict[str, Tensor], image_size: tuple[int, int]) -> Proposals:
        """Propose regions of one image.

        Args:
            features: the pyramid, each level (1, C, H, W).
            image_size: height and width before padding; boxes are clipped to it.
        """
        logits, offsets = self.rpn_head([features[level] for level in LEVELS])
        return self.propose(logits, offsets, image_size)

    def propose(self, logits: Sequence[Tensor], offsets: Sequence[Tensor], image_size: tuple[int, int]) -> Proposals:
        """Choose the best boxes from the head's maps for one image: logits (1, A, H, W), offsets (1, 4A, H, W)."""
        boxes, scores, levels = [], [], []
        for index, (level_logits, level_offsets) in enumerate(zip(logits, offsets, strict=True)):
            flat_logits = level_logits[0].permute(1, 2, 0).flatten()
            flat_offsets = level_offsets[0].permute(1, 2, 0).reshape(-1, 4)
            best, anchor = flat_logits.topk(min(self.config.pre_nms_topk, len(flat_logits)))
            anchors = self.anchors(index, level_logits.shape[3], anchor)
            boxes.append(decode_boxes(anchors, flat_offsets[anchor], OFFSET_WEIGHTS))
            scores.append(best)
            levels.append(torch.full_like(anchor, index))
        all_boxes = clip_boxes(torch.cat(boxes), *image_size)
        all_scores = torch.cat(scores)
        valid = nonempty(all_boxes) & all_boxes.isfinite().all(dim=1) & all_scores.isfinite()
        all_boxes, all_scores = all_boxes[valid], all_scores[valid]
        kept = grouped_nms(all_boxes, all_scores, torch.cat(levels)[valid], self.config.nms_threshold)
        kept = kept[: self.config.post_nms_topk]
        return Proposals(all_boxes[kept], all_scores[kept])

    def level_anchors(self, level: int, map_size: tuple[int, int]) -> Tensor:
        """All anchors (H * W * A, 4) of a level, 0 for p2, in the order of the map's cells."""
        height, width = map_size
        shapes = len(self.config.anchor_sizes[level]) * len(self.config.aspect_ratios)
        return self.anchors(level, width, torch.arange(height * width * shapes))

    def anchors(self, level: int, width: int, indices: Tensor) -> Tensor:
        """Those anchors (R, 4) of a level whose indices (R,) are given, counted as by :meth:`level_anchors`.

        Args:
            level: 0 for p2.
            width: W of its map.
            indices: int64.
        """
        shapes = cell_anchors(self.config.anchor_sizes[level], self.config.aspect_ratios).to(indices.device)
        cells = indices // len(shapes)
        corners = torch.stack([cells % width, cells // width], dim=1) * STRIDES[LEVELS[level]]
        return corners.repeat(1, 2) + shapes[indices % len(shapes)]


def cell_anchors(sizes: Sequence[float], aspect_ratios: Sequence[float]) -> Tensor:
    """Anchors (A, 4) around the origin: each size (the root of the area) with each ratio (height / width)."""
    anchors = []
    for size in sizes:
        for ratio in aspect_ratios:
            width = (size**2 / ratio) ** 0.5
            height = width * ratio
            anchors.append([-width / 2, -height / 2, width / 2, height / 2])
    return torch.tensor(anchors)
