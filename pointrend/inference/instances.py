"""Models that find single objects, run by this project's own network.

Shapes: R detections, S side of a mask in cells. Boxes are (x0, y0, x1, y1) in pixels.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pointrend.config.schema import InstanceConfig
from pointrend.engines import EAGER
from pointrend.inference.base import Encoded, Segmenter
from pointrend.inference.budget import Budget, Clock, refine_within
from pointrend.inference.detections import (
    FINE_CELL,
    NO_CLASS,
    RawDetections,
    encode_detections,
    keep,
    to_image,
    to_network,
)
from pointrend.inference.given_boxes import given_classes, mask_confidence
from pointrend.inference.zoom import look_again
from pointrend.modeling.instance_network import InstanceNetwork
from pointrend.modeling.point_rend import subdivision_plan
from pointrend.modeling.preprocess import resize, to_input
from pointrend.modeling.roi_heads.box_head import Detections
from pointrend.modeling.roi_heads.mask_chunk import MaskChunk
from pointrend.structures.boxes import BoxPrompt, check_inside
from pointrend.structures.model_info import ModelInfo
from pointrend.structures.option_combinations import looks_again
from pointrend.structures.options import Options


class InstanceSegmenter(Segmenter[RawDetections]):
    """A model that finds single objects: PyTorch runs its sparse parts, and an engine its dense ones.

    Args:
        model: the network, in evaluation mode.
        info: its name, version and categories.
        engine: what computes its dense parts.
        device: where the model's weights are.
        clock: tells when ``budget_ms`` is spent.
    """

    tasks = ("instances", "detection", "semantic")
    takes_boxes = True

    def __init__(
        self,
        model: InstanceNetwork,
        info: ModelInfo,
        *,
        engine: str = EAGER,
        device: str = "cpu",
        clock: Clock = time.perf_counter,
    ) -> None:
        self.model = model
        self.info = info
        self.engine = engine
        self.device = device
        self.clock = clock

    @property
    def has_points(self) -> bool:
        """Whether the model's own masks are refined at points, so that ``refinement`` means something."""
        return self.model.config.point_head is not None

    @property
    def has_conv_head(self) -> bool:
        """Whether the model can answer ``mask_head=conv``."""
        return self.model.config.conv_mask is not None

    def _infer(
        self, image: NDArray[np.uint8], options: Options, wanted: list[int] | None, started: float | None
    ) -> RawDetections:
        budget = None if options.budget_ms is None else Budget.of(options.budget_ms, started, self.clock)
        if options.boxes is not None:
            return self._segment_boxes(image, options.boxes, options, budget)
        images, network_size = to_input(resize(image, self.model.config), self.model.config)
        features, on_device = self._detect(images.to(self.device), network_size)
        detections = on_device.cpu()
        boxes = to_image(detections.boxes, network_size, image.shape[:2])
        # Masks are refined for what is kept only: refinement is the costly part of a crowded image.
        kept = keep(detections, boxes, options, wanted)
        found = RawDetections(boxes[kept], detections.classes[kept], detections.scores[kept])
        if options.task == "detection":
            return found
        return self._with_masks(image, features, detections.boxes[kept], found, options, budget)

    def _segment_boxes(
        self, image: NDArray[np.uint8], boxes: Sequence[BoxPrompt], options: Options, budget: Budget | None
    ) -> RawDetections:
        """A mask for each given box, in their order, without detection; the score is the mask's."""
        height, width = image.shape[:2]
        corners = torch.tensor(check_inside(boxes, width, height)).reshape(len(boxes), 4)
        classes = given_classes(boxes, self.info.categories)
        if not len(corners):
            return RawDetections(corners, classes, torch.empty(0), logits=[])
        images, network_size = to_input(resize(image, self.model.config), self.model.config)
        features = self.model.feature_maps(images.to(self.device))
        regions = to_network(corners, network_size, (height, width))
        open_ = (classes == NO_CLASS).nonzero().flatten()
        if len(open_) and (said := self.model.region_classes(features, regions[open_].to(self.device))) is not None:
            classes[open_] = said.cpu()
        given = RawDetections(corners, classes, torch.zeros(len(corners)))
        masked = self._with_masks(image, features, regions, given, options, budget)
        assert masked.logits is not None  # it has just added them
        return replace(masked, scores=torch.tensor([mask_confidence(each) for each in masked.logits]))

    def _detect(self, images: Tensor, image_size: tuple[int, int]) -> tuple[dict[str, Tensor], Detections]:
        """See :meth:`pointrend.modeling.instance_network.InstanceNetwork.detect`."""
        return self.model.detect(images, image_size)

    def _with_masks(
        self,
        image: NDArray[np.uint8],
        features: dict[str, Tensor],
        boxes: Tensor,
        found: RawDetections,
        options: Options,
        budget: Budget | None,
    ) -> RawDetections:
        """Add each mask's logits (S, S), and its points; ``boxes`` are in the network's pixels."""
        boxes = boxes.to(self.device)
        masked = self._masked(features, boxes, found, options, budget)
        if self.has_points and looks_again(options):
            return look_again(self.model, image, features, boxes, masked)
        return masked

    def _masked(
        self,
        features: dict[str, Tensor],
        boxes: Tensor,
        found: RawDetections,
        options: Options,
        budget: Budget | None,
    ) -> RawDetections:
        """What the first look shows."""
        classes = found.classes.to(self.device)
        if not self.has_points:
            return replace(found, logits=list(self.model.mask_logits(features, boxes, classes).cpu()))
        if options.mask_head == "conv":
            return replace(found, logits=list(self.model.constant_mask_logits(features, boxes, classes).cpu()))
        refinements = torch.full_like(found.classes, options.refinement)
        if not options.exact:
            refinements = refinements.minimum(_useful_refinements(found.boxes, self.model.config))
        if budget is not None:
            # Nothing is known yet of how good the mask of a given box is: large objects have most to gain.
            importance = found.scores if options.boxes is None else _longest(found.boxes)
            return replace(found, logits=self._logits_within(features, boxes, classes, refinements, importance, budget))
        logits: list[Tensor] = [torch.empty(0)] * len(boxes)
        points: list[Tensor] | None = [torch.empty(0)] * len(boxes) if options.points else None
        for refinement in sorted(set(refinements.tolist())):
            group = (refinements == refinement).nonzero().flatten()
            regions = (features, boxes[group], classes[group])
            for index, mask in zip(group.tolist(), self.model.mask_logits(*regions, refinement).cpu(), strict=True):
                logits[index] = mask
            if points is not None:
                places = _in_image(self.model.last_points(*regions, refinement).cpu(), found.boxes[group])
                for index, place in zip(group.tolist(), places, strict=True):
                    points[index] = place
        return replace(found, logits=logits, points=points)

    def _logits_within(
        self,
        features: dict[str, Tensor],
        boxes: Tensor,
        classes: Tensor,
        refinements: Tensor,
        importance: Tensor,
        budget: Budget,
    ) -> list[Tensor]:
        """Each mask's logits (S, S), refined no further than ``refinements`` (R,), nor for longer than the budget."""
        parts: list[tuple[Tensor, MaskChunk]] = []  # with the masks' indices
        for refinement in sorted(set(refinements.tolist())):
            group = (refinements == refinement).nonzero().flatten()
            chunks = self.model.mask_chunks(features, boxes[group], classes[group], refinement)
            parts += [(group[chunk.place], chunk) for chunk in chunks]
        refine_within([chunk for _, chunk in parts], [importance[indices] for indices, _ in parts], budget)
        logits: list[Tensor] = [torch.empty(0)] * len(boxes)
        for indices, chunk in parts:
            for index, mask in zip(indices.tolist(), chunk.logits.cpu(), strict=True):
                logits[index] = mask
        return logits

    def _encode(self, raw: RawDetections, size: tuple[int, int], options: Options) -> Encoded:
        return encode_detections(raw, self.info.categories, size, options, self.model.config.mask_calibration)


def _useful_refinements(boxes: Tensor, config: InstanceConfig) -> Tensor:
    """For boxes (R, 4) in the image's pixels, the refinement (R,) beyond which a mask's cells are too fine to matter.

    The grid of refinement r >= 1 has s * 2^(r - 1) cells a side, s being the first grid's; it is enough once a cell is
    at most :data:`FINE_CELL` pixels of the image.
    """
    if config.coarse_mask is None or config.point_head is None:
        raise ValueError("Only masks that are refined at points have refinements.")
    first_side, _ = subdivision_plan(config.coarse_mask.side, config.point_head)
    doublings = (_longest(boxes) / (FINE_CELL * first_side)).log2().ceil().clamp(min=0)
    return doublings.long() + 1


def _longest(boxes: Tensor) -> Tensor:
    """The longer side (R,) of boxes (R, 4)."""
    return (boxes[:, 2:] - boxes[:, :2]).amax(dim=1)


def _in_image(points: Tensor, boxes: Tensor) -> Tensor:
    """Points (R, P, 2) relative to boxes (R, 4), in the boxes' pixels."""
    return boxes[:, None, :2] + points * (boxes[:, None, 2:] - boxes[:, None, :2])
