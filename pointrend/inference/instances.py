"""From a network's detections to a :class:`~pointrend.structures.prediction.Prediction`, whichever engine ran it.

Shapes: R detections, S side of a mask in cells. Boxes are (x0, y0, x1, y1) in pixels.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pointrend.engines import EAGER
from pointrend.inference.paste import paste_mask
from pointrend.masks.decode import Segmentation
from pointrend.masks.encode import encode_mask
from pointrend.masks.semantic import merge
from pointrend.modeling.preprocess import check_photo
from pointrend.modeling.rcnn import Detections
from pointrend.structures.categories import wanted_indices
from pointrend.structures.model_info import ModelInfo
from pointrend.structures.options import Options
from pointrend.structures.prediction import Instance, Prediction, Segment
from pointrend.structures.segments import segments


@dataclass(frozen=True, slots=True)
class Found:
    """What the network found and the caller wants, best first.

    Attributes:
        boxes: (R, 4) in the photo's pixels.
        classes: (R,) int64.
        scores: (R,).
        logits: R of (S, S), each with its own S; None where only boxes were asked for.
        points: R of (P, 2) in the photo's pixels; None where they were not asked for.
    """

    boxes: Tensor
    classes: Tensor
    scores: Tensor
    logits: list[Tensor] | None = None
    points: list[Tensor] | None = None


class InstanceSegmenter(ABC):
    """A loaded model that finds single objects, one photo a call; safe to call from several threads.

    Attributes:
        info: the model's name, version and categories.
        tasks: what it can be asked for.
        engine: what computes its network.
    """

    tasks = ("instances", "detection", "semantic")
    engine = EAGER
    info: ModelInfo

    @property
    @abstractmethod
    def has_points(self) -> bool:
        """Whether the model's own masks are refined at points, so that ``refinement`` means something."""

    @property
    @abstractmethod
    def has_conv_head(self) -> bool:
        """Whether the model can answer ``mask_head=conv``."""

    def __call__(self, image: NDArray[np.uint8], options: Options | None = None) -> Prediction:
        """Find the objects of a photo and draw their masks.

        Args:
            image: HWC uint8 RGB, upright.
            options: thresholds and choices; the defaults of :class:`Options` where left out. ``format`` is of no
                effect: it is for whoever sends the prediction on.

        Returns:
            what was found. ``timing_ms`` holds ``inference`` (resizing, network, mask logits) and ``encode``
            (drawing the masks and their run lengths or polygons).

        Raises:
            TypeError: the image is not HWC uint8 RGB.
            InvalidOption: a category that the model does not know, or what it cannot do.
        """
        check_photo(image)
        options = options or Options()
        self._check(options)
        wanted = wanted_indices(self.info, options.categories)
        size = image.shape[0], image.shape[1]
        with torch.inference_mode():
            started = time.perf_counter()
            found = self._find(image, options, wanted)
            inferred = time.perf_counter()
            instances, segments = self._encode(found, size, options)
            encoded = time.perf_counter()
        return Prediction(
            width=size[1],
            height=size[0],
            instances=instances,
            model={"name": self.info.name, "version": self.info.version},
            timing_ms={"inference": (inferred - started) * 1000, "encode": (encoded - inferred) * 1000},
            task=options.task,
            segments=segments,
        )

    @abstractmethod
    def _find(self, image: NDArray[np.uint8], options: Options, wanted: list[int] | None) -> Found:
        """What is in a photo and wanted: categories by index, None for all."""

    @abstractmethod
    def _check(self, options: Options) -> None:
        """Refuse what the model cannot do with an InvalidOption."""

    def _encode(
        self, found: Found, size: tuple[int, int], options: Options
    ) -> tuple[tuple[Instance, ...], tuple[Segment, ...]]:
        """Instances, or, for the semantic task, segments. Masks are drawn inside their own boxes only."""
        classes = found.classes.tolist()
        if options.task == "semantic":
            masks = [self._paste(found, index, size) for index in range(len(classes))]
            return (), segments(merge(masks, classes, size), self.info.categories, options.masks)
        return tuple(self._instance(found, index, size, options.masks) for index in range(len(classes))), ()

    def _instance(self, found: Found, index: int, size: tuple[int, int], form: str) -> Instance:
        """Draw one mask, where masks were asked for, and encode it at once."""
        area: int | None = None
        segmentation: Segmentation | None = None
        if found.logits is not None:
            x, y, crop = self._paste(found, index, size)
            area = int(np.count_nonzero(crop))
            segmentation = encode_mask(form, crop, x, y, size)
        category = self.info.categories[int(found.classes[index])]
        x0, y0, x1, y1 = found.boxes[index].tolist()
        return Instance(
            category_id=category.id,
            category=category.name,
            score=float(found.scores[index]),
            bbox=(x0, y0, x1 - x0, y1 - y0),
            area=area,
            segmentation=segmentation,
            points=None if found.points is None else tuple((x, y) for x, y in found.points[index].tolist()),
        )

    def _paste(self, found: Found, index: int, size: tuple[int, int]) -> tuple[int, int, NDArray[np.bool_]]:
        assert found.logits is not None  # every task but detection has masks
        return paste_mask(found.logits[index], found.boxes[index], *size)


def to_photo(boxes: Tensor, network_size: tuple[int, int], photo_size: tuple[int, ...]) -> Tensor:
    """Scale (R, 4) boxes from the network's pixels to the photo's, and clip them to it."""
    (network_height, network_width), (height, width) = network_size, photo_size
    scale = torch.tensor([width / network_width, height / network_height] * 2)
    limit = torch.tensor([width, height] * 2, dtype=boxes.dtype)
    return torch.minimum((boxes * scale).clamp(min=0), limit)


def keep(detections: Detections, photo_boxes: Tensor, options: Options, wanted: list[int] | None) -> Tensor:
    """Indices of the detections that were asked for, best first; boxes that scaling made empty are dropped."""
    keep = (detections.scores >= options.score_threshold) & (photo_boxes[:, 2:] > photo_boxes[:, :2]).all(dim=1)
    if wanted is not None:
        keep &= torch.isin(detections.classes, torch.tensor(wanted))
    indices = keep.nonzero().flatten()
    order = detections.scores[indices].argsort(descending=True, stable=True)
    return indices[order][: options.max_detections]
