"""One training step's losses of PointRend on a one-stage detector: true masks, and boxes and classes.

A detector that comes trained on far more images than there are masks to train on, most of which label a few categories
only, learns no boxes from labels: with a teacher it is held to what its starting weights say of the same crop
(distillation, arXiv:1503.02531; of box distributions: arXiv:2102.12252), while the masks may change what its features
tell. One for other categories learns from labels: see :mod:`pointrend.training.gfl_losses`.

Shapes: N images, S side of the crops, A cells of all levels, R regions, K classes, B bins a side.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from pointrend.modeling.boxes import clip_boxes, nonempty
from pointrend.modeling.one_stage.detector import Detector, DetectorMaps
from pointrend.modeling.one_stage.gfl_head import by_cell, cell_corners, decode_distances
from pointrend.modeling.one_stage.network import OneStage
from pointrend.training import box_matching
from pointrend.training.gfl_losses import label_losses
from pointrend.training.mask_losses import Regions, conv_loss, point_losses
from pointrend.training.objective import SamplingConfig
from pointrend.training.sample import Sample

CONFIDENT = 0.1  # score from which on a cell's box may be learnt from
MOST_CELLS = 300  # an image, the best ones
MATCHING = 0.5  # intersection over union from which on a box is that of a labelled object
CONV_SHARE = 3  # one region in so many is for the convolutional head, which costs the most and is there to compare with
SHAKE = 0.15  # by how much of its width or height each side of a labelled box moves at most


class OneStageObjective:
    """The losses of a batch.

    Args:
        model: in training mode.
        recipe: how much of each image is looked at: ``masks`` and ``points``.
        teacher: whose boxes and classes the detector keeps.
        teacher_weight: what the losses against the teacher are multiplied by.
        labels: whether it learns boxes and classes from labels. Without either it learns none.
    """

    def __init__(
        self,
        model: OneStage,
        recipe: SamplingConfig,
        teacher: Detector | None = None,
        *,
        teacher_weight: float = 1.0,
        labels: bool = False,
    ) -> None:
        self.model = model
        self.recipe = recipe
        self.teacher = teacher
        self.teacher_weight = teacher_weight
        self.labels = labels

    def __call__(self, images: Tensor, samples: Sequence[Sample]) -> dict[str, Tensor]:
        """Losses of a batch, each a mean; their sum is what training minimises.

        Args:
            images: (N, 3, S, S), normalised.
            samples: N, on the images' device.

        Returns:
            ``coarse`` and ``points``, of a second mask head ``conv`` (it learns on the features as they are, without
            a say in them), and, with a teacher or labels to learn from, ``class`` and ``box``.
        """
        maps: DetectorMaps = self.model.detector(images)
        features = {level: map_.float() for level, map_ in self.model.features(maps).items()}
        classes = self.model.config.num_classes
        logits, bins = by_cell([each.float() for each in maps.predictions], classes)
        corners = cell_corners(maps.predictions)
        sums: dict[str, Tensor] = {}
        count = 0
        # Split, not sliced: the gradient of a slice is as large as the batch.
        single = {level: torch.split(map_, 1) for level, map_ in features.items()}
        for index, item in enumerate(samples):
            with torch.no_grad():
                regions = self._regions(logits[index], bins[index], corners, item)
            if len(regions.boxes) == 0:
                continue
            count += len(regions.boxes)
            own = {level: parts[index] for level, parts in single.items()}
            for name, value in self._mask_losses(own, regions, item).items():
                sums[name] = sums[name] + value if name in sums else value
        result = {name: total / count for name, total in sums.items()}
        if self.teacher is not None:
            with torch.no_grad():
                taught = by_cell([each.float() for each in self.teacher(images).predictions], classes)
            result["class"] = self.teacher_weight * class_distillation(logits, taught[0])
            result["box"] = self.teacher_weight * box_distillation(bins, taught[1], taught[0])
        if self.labels:
            result |= label_losses(logits, bins, corners, samples)
        return result

    def _mask_losses(self, features: dict[str, Tensor], regions: Regions, item: Sample) -> dict[str, Tensor]:
        result = point_losses(self.model.mask_head, features, regions, item, self.recipe.points)
        if self.model.conv_mask_head is not None:
            detached = {level: map_.detach() for level, map_ in features.items()}
            count = len(regions.boxes)
            some = torch.randperm(count, device=regions.boxes.device)[: -(-count // CONV_SHARE)]
            few = Regions(regions.boxes[some], regions.classes[some], regions.objects[some])
            pooled = self.model.pool(detached, few.boxes, self.model.conv_mask_head.config.pooler_resolution)
            result["conv"] = conv_loss(self.model.conv_mask_head, pooled, few, item) * (count / len(some))
        return result

    def _regions(self, logits: Tensor, bins: Tensor, corners: Tensor, item: Sample) -> Regions:
        """Boxes as they will be met: the detector's own, where they fit an object, and labelled ones, shaken.

        Classes are all 0, the row of the heads' only mask.
        """
        size = float(item.image.shape[0])
        scores, cells = logits.sigmoid().amax(dim=1).topk(min(MOST_CELLS, len(logits)))
        cells = cells[scores > CONFIDENT]
        found = clip_boxes(decode_distances(corners[cells], bins[cells]), size, size)
        found = found[nonempty(found)]
        matches = box_matching.match(found, item.boxes, item.neutral, low=MATCHING, high=MATCHING)
        chosen, _ = box_matching.sample(matches.kinds, self.recipe.masks // 2, 1.0)
        objects = torch.randperm(len(item.boxes), device=logits.device)[: self.recipe.masks - len(chosen)]
        shaken = clip_boxes(shake(item.boxes[objects], SHAKE), size, size)
        full = nonempty(shaken)
        boxes = torch.cat([found[chosen], shaken[full]])
        indices = torch.cat([matches.indices[chosen], objects[full]])
        return Regions(boxes, torch.zeros_like(indices), indices)


def shake(boxes: Tensor, most: float) -> Tensor:
    """Move each side of boxes (R, 4) by up to ``most`` of the box's width or height, some boxes more than others."""
    sizes = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    amounts = torch.rand(len(boxes), 1, device=boxes.device) * most
    return boxes + (2 * torch.rand_like(boxes) - 1) * amounts * sizes


def class_distillation(logits: Tensor, taught: Tensor) -> Tensor:
    """How far class scores are from the teacher's: quality focal loss (GFL, equation 3) with its scores as targets.

    What neither holds for an object weighs nothing; zero where both agree.

    Args:
        logits: (N, A, K).
        taught: (N, A, K) logits of the teacher.

    Returns:
        the sum, by the teacher's number of confident cells, as the head was trained.
    """
    targets = taught.sigmoid()
    entropies = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    weights = (logits.sigmoid() - targets).square()
    return (entropies * weights).sum() / _mass(targets)


def box_distillation(bins: Tensor, taught: Tensor, taught_logits: Tensor) -> Tensor:
    """How far distributions of distances are from the teacher's: Kullback-Leibler divergence, weighted by its scores.

    Args:
        bins: (N, A, 4, B).
        taught: (N, A, 4, B) of the teacher.
        taught_logits: (N, A, K), whose best scores say how much a cell's box counts.
    """
    scores = taught_logits.sigmoid()
    best = scores.amax(dim=2)
    divergence = F.kl_div(bins.log_softmax(dim=3), taught.log_softmax(dim=3), reduction="none", log_target=True).sum(
        dim=3
    )
    return (divergence.mean(dim=2) * best * (best > 0.05)).sum() / _mass(scores)


def _mass(scores: Tensor) -> Tensor:
    """The sum of the cells' best scores above what is background, at least 1: what the losses are divided by."""
    best = scores.amax(dim=2)
    return (best * (best > 0.05)).sum().clamp(min=1)
