"""Box head (Fast R-CNN, arXiv:1504.08083): a class and a better box for each proposal, and the final detections.

Shapes: R regions, D detections, C channels, S side of the pooled grid, F hidden features, K classes without
background. Boxes are (x0, y0, x1, y1) in pixels of the network's input.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pointrend.config.schema import BoxHeadConfig
from pointrend.modeling.boxes import clip_boxes, decode_boxes, grouped_nms


@dataclass(frozen=True, slots=True)
class Detections:
    """What was found in one image: boxes (D, 4), scores (D,) by which they descend, classes (D,) int64 from 0."""

    boxes: Tensor
    scores: Tensor
    classes: Tensor

    def __len__(self) -> int:
        return len(self.scores)

    def cpu(self) -> Detections:
        """The same in the CPU's memory."""
        return Detections(self.boxes.cpu(), self.scores.cpu(), self.classes.cpu())


class BoxHead(nn.Module):
    """Fully connected layers ``fc1``, ``fc2``, ... over the pooled features."""

    def __init__(self, channels: int, config: BoxHeadConfig) -> None:
        super().__init__()
        inputs = channels * config.pooler_resolution**2
        self.count = config.num_fc
        for index in range(1, config.num_fc + 1):
            self.add_module(f"fc{index}", nn.Linear(inputs, config.fc_dim))
            inputs = config.fc_dim
        self.out_features = inputs

    def forward(self, pooled: Tensor) -> Tensor:
        """Map pooled features (R, C, S, S) to (R, F)."""
        hidden = pooled.flatten(1)
        for index in range(1, self.count + 1):
            hidden = F.relu(self.get_submodule(f"fc{index}")(hidden), inplace=True)
        return hidden


class BoxPredictor(nn.Module):
    """Class logits and box offsets."""

    def __init__(self, features: int, num_classes: int, *, class_agnostic: bool) -> None:
        super().__init__()
        self.cls_score = nn.Linear(features, num_classes + 1)
        self.bbox_pred = nn.Linear(features, 4 * (1 if class_agnostic else num_classes))

    def forward(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Map (R, F) to logits (R, K + 1), background last, and offsets (R, 4K), or (R, 4) for all classes at once."""
        return self.cls_score(hidden), self.bbox_pred(hidden)


def select_detections(
    logits: Tensor, offsets: Tensor, proposals: Tensor, image_size: tuple[int, int], config: BoxHeadConfig
) -> Detections:
    """Turn predictions into the final boxes: score threshold, non-maximum suppression a class, and the best of all.

    A proposal may be detected as several classes. Only boxes above the score threshold are decoded.

    Args:
        logits: (R, K + 1), background last.
        offsets: (R, 4K) or (R, 4).
        proposals: (R, 4).
        image_size: height and width before padding; boxes are clipped to it.
    """
    probabilities = logits.softmax(dim=1)
    finite = probabilities.isfinite().all(dim=1) & offsets.isfinite().all(dim=1)
    candidates = (probabilities[:, :-1] > config.score_threshold) & finite[:, None]
    regions, classes = candidates.nonzero().unbind(1)
    scores = probabilities[regions, classes]
    by_class = offsets.view(len(offsets), offsets.shape[1] // 4, 4)
    chosen = by_class[regions, torch.zeros_like(classes) if config.class_agnostic else classes]
    boxes = clip_boxes(decode_boxes(proposals[regions], chosen, config.reg_weights), *image_size)
    kept = grouped_nms(boxes, scores, classes, config.nms_threshold)[: config.max_detections]
    return Detections(boxes[kept], scores[kept], classes[kept])
