"""From a network's raw detections to instances or segments, whichever engine ran it.

Shapes: R detections, S side of a mask in cells. Boxes are (x0, y0, x1, y1) in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pointrend.inference.base import Encoded
from pointrend.inference.mask_quality import UNCALIBRATED, MaskQuality, mask_qualities
from pointrend.inference.paste import MASK_THRESHOLD, paste_mask, paste_probabilities
from pointrend.masks.encode import encode_mask
from pointrend.masks.probabilities import encode_probabilities, quantised
from pointrend.masks.semantic import merge
from pointrend.modeling.rcnn import Detections
from pointrend.structures.model_info import Category
from pointrend.structures.options import Options
from pointrend.structures.prediction import Instance
from pointrend.structures.segments import segments

NO_CLASS = -1
FINE_CELL = 0.5  # pixels of the image: with a mask's cells this small, its outline is within a quarter of a pixel


@dataclass(frozen=True, slots=True)
class RawDetections:
    """What the network found and the caller wants, best first; or the caller's own boxes, in their order.

    Attributes:
        boxes: (R, 4) in the image's pixels.
        classes: (R,) int64; :data:`NO_CLASS` where a box was given without one.
        scores: (R,).
        logits: R of (S, S), each with its own S; None where only boxes were asked for.
        points: R of (P, 2) in the image's pixels; None where they were not asked for.
    """

    boxes: Tensor
    classes: Tensor
    scores: Tensor
    logits: list[Tensor] | None = None
    points: list[Tensor] | None = None


def to_image(boxes: Tensor, network_size: tuple[int, int], image_size: tuple[int, ...]) -> Tensor:
    """Scale (R, 4) boxes from the network's pixels to the image's, and clip them to it."""
    (network_height, network_width), (height, width) = network_size, image_size
    scale = torch.tensor([width / network_width, height / network_height] * 2)
    limit = torch.tensor([width, height] * 2, dtype=boxes.dtype)
    return torch.minimum((boxes * scale).clamp(min=0), limit)


def to_network(boxes: Tensor, network_size: tuple[int, int], image_size: tuple[int, ...]) -> Tensor:
    """Scale (R, 4) boxes from the image's pixels to the network's: the other way of :func:`to_image`."""
    (network_height, network_width), (height, width) = network_size, image_size
    return boxes * torch.tensor([network_width / width, network_height / height] * 2)


def keep(detections: Detections, image_boxes: Tensor, options: Options, wanted: list[int] | None) -> Tensor:
    """Indices of the detections that were asked for, best first; boxes that scaling made empty are dropped."""
    keep = (detections.scores >= options.score_threshold) & (image_boxes[:, 2:] > image_boxes[:, :2]).all(dim=1)
    if wanted is not None:
        keep &= torch.isin(detections.classes, torch.tensor(wanted))
    indices = keep.nonzero().flatten()
    order = detections.scores[indices].argsort(descending=True, stable=True)
    return indices[order][: options.max_detections]


def encode_detections(
    raw: RawDetections,
    categories: tuple[Category, ...],
    size: tuple[int, int],
    options: Options,
    calibration: tuple[float, float] = UNCALIBRATED,
) -> Encoded:
    """Instances, or, for the semantic task, segments. Masks are drawn inside their own boxes only.

    Args:
        raw: what the network found.
        categories: the model's, in the order of the network's classes.
        size: the image's (height, width) in pixels.
        options: of effect are ``task`` and ``masks``.
        calibration: of the mask scores; see :func:`~pointrend.inference.mask_quality.mask_quality`.
    """
    classes = raw.classes.tolist()
    if options.task == "semantic":
        masks = [_paste(raw, index, size) for index in range(len(classes))]
        return (), segments(merge(masks, classes, size), categories, options.masks)
    qualities = None if raw.logits is None else mask_qualities(raw.logits, raw.boxes, size, calibration)
    return tuple(
        _instance(
            raw,
            index,
            None if number == NO_CLASS else categories[number],
            size,
            options.masks,
            None if qualities is None else qualities[index],
        )
        for index, number in enumerate(classes)
    ), ()


def _instance(
    raw: RawDetections,
    index: int,
    category: Category | None,
    size: tuple[int, int],
    form: str,
    quality: MaskQuality | None,
) -> Instance:
    """Draw one mask, where masks were asked for, and encode it at once."""
    x0, y0, x1, y1 = raw.boxes[index].tolist()
    found = Instance(
        category_id=None if category is None else category.id,
        category=None if category is None else category.name,
        score=float(raw.scores[index]),
        bbox=(x0, y0, x1 - x0, y1 - y0),
        area=None,
        segmentation=None,
        points=None if raw.points is None else tuple((x, y) for x, y in raw.points[index].tolist()),
    )
    if raw.logits is None or quality is None:
        return found
    probabilities = None
    if form == "probability":
        x, y, probabilities = paste_probabilities(raw.logits[index], raw.boxes[index], *size)
        crop = probabilities >= MASK_THRESHOLD
    else:
        x, y, crop = paste_mask(raw.logits[index], raw.boxes[index], *size)
    return replace(
        found,
        area=int(np.count_nonzero(crop)),
        segmentation=encode_mask(form, crop, x, y, size),
        mask_score=quality.mask_score,
        edge_uncertainty=quality.edge_uncertainty,
        grid=raw.logits[index].shape[-1],
        probabilities=None if probabilities is None else encode_probabilities(x, y, quantised(probabilities)),
    )


def _paste(raw: RawDetections, index: int, size: tuple[int, int]) -> tuple[int, int, NDArray[np.bool_]]:
    assert raw.logits is not None  # every task but detection has masks
    return paste_mask(raw.logits[index], raw.boxes[index], *size)
