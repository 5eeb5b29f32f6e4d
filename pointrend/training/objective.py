"""One training step's losses: the network, the matching and the losses put together.

Shapes: N images, S side of the crops, A anchors of all levels, R regions, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor

from pointrend.modeling.backbone.fpn import LEVELS
from pointrend.modeling.boxes import encode_boxes
from pointrend.modeling.rcnn import RCNN
from pointrend.modeling.roi_heads.mask_head import ConvMaskHead
from pointrend.modeling.rpn import OFFSET_WEIGHTS
from pointrend.training import box_matching, losses
from pointrend.training.mask_losses import Regions, conv_loss, point_losses
from pointrend.training.sample import Sample


@dataclass(frozen=True, slots=True)
class SamplingConfig:
    """How many boxes of each kind a step looks at in an image.

    Attributes:
        anchors: for the proposal network, half of them objects at most.
        regions: for the box head, a quarter of them objects at most.
        masks: of those objects, how many the mask heads see.
        points: a region, for the point head.
        proposals: the best that the proposal network hands on.
    """

    anchors: int = 256
    regions: int = 128
    masks: int = 16
    points: int = 196
    proposals: int = 300


def step_losses(model: RCNN, images: Tensor, samples: Sequence[Sample], recipe: SamplingConfig) -> dict[str, Tensor]:
    """All losses of a batch, each a mean as detectron2 takes it; their sum is what training minimises.

    Args:
        model: in training mode; a PointRend, with or without a second mask head, or a Mask R-CNN.
        images: (N, 3, S, S), normalised.
        samples: N, on the images' device.
        recipe: how much of each image is looked at.

    Returns:
        ``rpn_class``, ``rpn_box``, ``box_class``, ``box``; of a PointRend ``coarse`` and ``points``, of a Mask R-CNN
        ``mask``. A second mask head beside PointRend's adds ``conv``: it learns on the features as they are, without
        a say in them.
    """
    features: dict[str, Tensor] = model.backbone(images)
    features = {level: map_.float() for level, map_ in features.items()}
    logits, offsets = model.proposal_generator.rpn_head([features[level] for level in LEVELS])
    sums = _rpn_losses(model, logits, offsets, samples, recipe)
    box_count = mask_count = 0
    # Split, not sliced: the gradient of a slice is as large as the batch.
    single = {level: torch.split(map_, 1) for level, map_ in features.items()}
    for index, item in enumerate(samples):
        own = {level: maps[index] for level, maps in single.items()}
        with torch.no_grad():
            proposals = model.proposal_generator.propose(
                [level[index : index + 1].detach().float() for level in logits],
                [level[index : index + 1].detach().float() for level in offsets],
                cast(tuple[int, int], tuple(images.shape[2:])),
            ).boxes[: recipe.proposals]
            regions = _choose_regions(proposals, item, model.config.num_classes, recipe)
        box_count += len(regions.boxes)
        _add(sums, _box_losses(model, own, regions, item))
        chosen = (regions.classes < model.config.num_classes).nonzero().flatten()[: recipe.masks]
        mask_count += len(chosen)
        if len(chosen):
            masked = Regions(regions.boxes[chosen], regions.classes[chosen], regions.objects[chosen])
            _add(sums, _mask_losses(model, own, masked, item, recipe))
    anchors = recipe.anchors * len(samples)
    counts = {"rpn_class": anchors, "rpn_box": anchors, "box_class": box_count, "box": box_count}
    return {name: total / max(counts.get(name, mask_count), 1) for name, total in sums.items()}


def _rpn_losses(
    model: RCNN, logits: Sequence[Tensor], offsets: Sequence[Tensor], samples: Sequence[Sample], recipe: SamplingConfig
) -> dict[str, Tensor]:
    rpn = model.proposal_generator
    anchors = torch.cat([rpn.level_anchors(i, tuple(level.shape[2:])) for i, level in enumerate(logits)])  # type: ignore[arg-type]
    anchors = anchors.to(logits[0].device)
    flat_logits = torch.cat([level.permute(0, 2, 3, 1).flatten(1) for level in logits], dim=1).unbind()
    flat_offsets = torch.cat(
        [level.permute(0, 2, 3, 1).reshape(len(level), -1, 4) for level in offsets], dim=1
    ).unbind()
    class_loss = box_loss = torch.zeros((), device=anchors.device)
    for index, item in enumerate(samples):
        matches = box_matching.match(anchors, item.boxes, item.neutral, low=0.3, high=0.7, keep_best=True)
        if not item.labelled.all():
            # Away from what is labelled there may be objects that nobody has labelled: no background there.
            near = torch.zeros_like(matches.kinds, dtype=torch.bool)
            if len(item.boxes):
                near = (box_matching.pairwise_iou(anchors, item.boxes) > 0).any(dim=1)
            matches.kinds[(matches.kinds == box_matching.BACKGROUND) & ~near] = box_matching.NEUTRAL
        objects, background = box_matching.sample(matches.kinds, recipe.anchors, 0.5)
        seen = torch.cat([objects, background])
        class_loss = class_loss + losses.objectness_loss(
            flat_logits[index][seen], torch.arange(len(seen), device=seen.device) < len(objects)
        )
        targets = encode_boxes(anchors[objects], item.boxes[matches.indices[objects]], OFFSET_WEIGHTS)
        box_loss = box_loss + losses.offset_loss(flat_offsets[index][objects], targets)
    return {"rpn_class": class_loss, "rpn_box": box_loss}


def _choose_regions(proposals: Tensor, item: Sample, num_classes: int, recipe: SamplingConfig) -> Regions:
    """Proposals and the labelled boxes themselves, without which the first steps would see no object."""
    boxes = torch.cat([proposals, item.boxes])
    matches = box_matching.match(boxes, item.boxes, item.neutral, low=0.5, high=0.5)
    objects, background = box_matching.sample(matches.kinds, recipe.regions, 0.25)
    chosen = torch.cat([objects, background])
    classes = torch.full_like(chosen, num_classes)
    classes[: len(objects)] = item.classes[matches.indices[objects]]
    return Regions(boxes[chosen], classes, matches.indices[chosen])


def _box_losses(model: RCNN, features: dict[str, Tensor], regions: Regions, item: Sample) -> dict[str, Tensor]:
    config = model.config.box_head
    logits, offsets = model.roi_heads(features, regions.boxes)
    is_object = regions.classes < model.config.num_classes
    boxes, classes = regions.boxes[is_object], regions.classes[is_object]
    by_class = offsets[is_object].view(len(boxes), offsets.shape[1] // 4, 4)
    own = by_class[
        torch.arange(len(boxes), device=boxes.device), torch.zeros_like(classes) if config.class_agnostic else classes
    ]
    targets = encode_boxes(boxes, item.boxes[regions.objects[is_object]], config.reg_weights)
    return {
        "box_class": losses.classification_loss(logits, regions.classes, item.labelled),
        "box": losses.offset_loss(own, targets),
    }


def _mask_losses(
    model: RCNN, features: dict[str, Tensor], regions: Regions, item: Sample, recipe: SamplingConfig
) -> dict[str, Tensor]:
    heads = model.roi_heads
    if isinstance(heads.mask_head, ConvMaskHead):
        pooled = heads.pool(features, regions.boxes, heads.mask_head.config.pooler_resolution)
        if model.config.class_agnostic_mask:
            regions = replace(regions, classes=torch.zeros_like(regions.classes))
        return {"mask": conv_loss(heads.mask_head, pooled, regions, item)}
    result = point_losses(heads.mask_head, features, regions, item, recipe.points)
    if heads.conv_mask_head is not None:
        detached = {level: map_.detach() for level, map_ in features.items()}
        pooled = heads.pool(detached, regions.boxes, heads.conv_mask_head.config.pooler_resolution)
        result["conv"] = conv_loss(heads.conv_mask_head, pooled, regions, item)
    return result


def _add(sums: dict[str, Tensor], more: dict[str, Tensor]) -> None:
    for name, value in more.items():
        sums[name] = sums[name] + value if name in sums else value
