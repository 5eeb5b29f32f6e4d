"""The front door of the library: a photo in, a :class:`~pointrend.prediction.Prediction` out.

Shapes: R detections, S side of a mask in cells. Boxes are (x0, y0, x1, y1) in pixels.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pointrend.categories import wanted_indices
from pointrend.config import ModelConfig
from pointrend.errors import InvalidOption
from pointrend.mask_encoding import encode_mask
from pointrend.mask_heads import no_conv_head
from pointrend.modeling.network import build_network
from pointrend.modeling.paste import paste_mask
from pointrend.modeling.point_rend import subdivision_plan
from pointrend.modeling.rcnn import RCNN, Detections
from pointrend.options import FULL_REFINEMENT, Options
from pointrend.prediction import Instance, Prediction, Segment, Segmentation
from pointrend.preprocess import check_photo, resize, to_input
from pointrend.semantic_segmenter import SemanticSegmenter
from pointrend.semantics import merge, segments
from pointrend.weights.checkpoint import load_into, read_checkpoint
from pointrend.weights.folder import ModelFolder, ModelInfo

FINE_CELL = 0.5  # pixels of the photo: with a mask's cells this small, its outline is within a quarter of a pixel


@dataclass(frozen=True, slots=True)
class _Found:
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


class Segmenter:
    """A loaded model that segments one photo a call; safe to call from several threads.

    Args:
        model: the network, in evaluation mode.
        info: its name, version and categories.
    """

    tasks = ("instances", "detection", "semantic")

    def __init__(self, model: RCNN, info: ModelInfo) -> None:
        self.model = model
        self.info = info

    @property
    def has_points(self) -> bool:
        """Whether the model's own masks are refined at points, so that ``refinement`` means something."""
        return self.model.config.point_head is not None

    @property
    def has_conv_head(self) -> bool:
        """Whether the model can answer ``mask_head=conv``."""
        return self.model.config.conv_mask is not None

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
            InvalidOption: a category that the model does not know, or a mask head that it does not carry.
        """
        check_photo(image)
        options = options or Options()
        self._check_head(options)
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

    def _find(self, image: NDArray[np.uint8], options: Options, wanted: list[int] | None) -> _Found:
        images, network_size = to_input(resize(image, self.model.config), self.model.config)
        features, detections = self.model.detect(images, network_size)
        boxes = _to_photo(detections.boxes, network_size, image.shape[:2])
        # Masks are refined for what is kept only: refinement is the costly part of a crowded photo.
        kept = _keep(detections, boxes, options, wanted)
        found = _Found(boxes[kept], detections.classes[kept], detections.scores[kept])
        if options.task == "detection":
            return found
        return self._with_masks(features, detections.boxes[kept], found, options)

    def _with_masks(self, features: dict[str, Tensor], boxes: Tensor, found: _Found, options: Options) -> _Found:
        """Add each mask's logits (S, S), and its points; ``boxes`` are in the network's pixels."""
        if not self.has_points:
            return replace(found, logits=list(self.model.mask_logits(features, boxes, found.classes)))
        if options.mask_head == "conv":
            return replace(found, logits=list(self.model.constant_mask_logits(features, boxes, found.classes)))
        refinements = torch.full_like(found.classes, options.refinement)
        if not options.exact:
            refinements = refinements.minimum(_useful_refinements(found.boxes, self.model.config))
        logits: list[Tensor] = [torch.empty(0)] * len(boxes)
        points: list[Tensor] | None = [torch.empty(0)] * len(boxes) if options.points else None
        for refinement in sorted(set(refinements.tolist())):
            group = (refinements == refinement).nonzero().flatten()
            regions = (features, boxes[group], found.classes[group])
            for index, mask in zip(group.tolist(), self.model.mask_logits(*regions, refinement), strict=True):
                logits[index] = mask
            if points is not None:
                places = _in_photo(self.model.last_points(*regions, refinement), found.boxes[group])
                for index, place in zip(group.tolist(), places, strict=True):
                    points[index] = place
        return replace(found, logits=logits, points=points)

    def _encode(
        self, found: _Found, size: tuple[int, int], options: Options
    ) -> tuple[tuple[Instance, ...], tuple[Segment, ...]]:
        """Instances, or, for the semantic task, segments. Masks are drawn inside their own boxes only."""
        classes = found.classes.tolist()
        if options.task == "semantic":
            masks = [self._paste(found, index, size) for index in range(len(classes))]
            return (), segments(merge(masks, classes, size), self.info.categories, options.masks)
        return tuple(self._instance(found, index, size, options.masks) for index in range(len(classes))), ()

    def _instance(self, found: _Found, index: int, size: tuple[int, int], form: str) -> Instance:
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

    def _paste(self, found: _Found, index: int, size: tuple[int, int]) -> tuple[int, int, NDArray[np.bool_]]:
        assert found.logits is not None  # every task but detection has masks
        return paste_mask(found.logits[index], found.boxes[index], *size)

    def _check_head(self, options: Options) -> None:
        if options.mask_head == "conv" and not self.has_conv_head:
            raise no_conv_head(self.info.name)
        refines = self.has_points and options.mask_head == "point"
        if options.points and not refines:
            raise InvalidOption(
                "points=true is for masks that are refined at points; a convolutional head has none.",
                field="points",
                limit=False,
                value=True,
                code="missing_mask_head",
            )
        if options.refinement != FULL_REFINEMENT and not refines:
            raise InvalidOption(
                f"refinement={options.refinement} is for masks that are refined at points; a convolutional head has "
                f"one resolution. Leave refinement at {FULL_REFINEMENT}.",
                field="refinement",
                limit=FULL_REFINEMENT,
                value=options.refinement,
                code="missing_mask_head",
            )


AnySegmenter = Segmenter | SemanticSegmenter


def load(model: str | Path = "demo", *, threads: int | None = None) -> AnySegmenter:
    """Load a model for inference.

    Args:
        model: ``demo`` (comes with the package), a published model that was pulled (``pointrend weights pull``), or a
            model folder: weights, configuration and ``model.json``.
        threads: CPU threads that torch uses in this process; None leaves torch's own choice.

    Raises:
        ConfigError: the folder or its configuration cannot be used.
        CheckpointError: the weights cannot be read or do not fit.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    folder = ModelFolder.open(model)
    network = build_network(folder.network).eval()
    load_into(network, read_checkpoint(folder.weights))
    return Segmenter(network, folder.info) if isinstance(network, RCNN) else SemanticSegmenter(network, folder.info)


def _useful_refinements(boxes: Tensor, config: ModelConfig) -> Tensor:
    """For boxes (R, 4) in the photo's pixels, the refinement (R,) beyond which a mask's cells are too fine to matter.

    The grid of refinement r >= 1 has s * 2^(r - 1) cells a side, s being the first grid's; it is enough once a cell is
    at most :data:`FINE_CELL` pixels of the photo.
    """
    if config.coarse_mask is None or config.point_head is None:
        raise ValueError("Only masks that are refined at points have refinements.")
    first_side, _ = subdivision_plan(config.coarse_mask.side, config.point_head)
    longest = (boxes[:, 2:] - boxes[:, :2]).amax(dim=1)
    doublings = (longest / (FINE_CELL * first_side)).log2().ceil().clamp(min=0)
    return doublings.long() + 1


def _to_photo(boxes: Tensor, network_size: tuple[int, int], photo_size: tuple[int, ...]) -> Tensor:
    """Scale (R, 4) boxes from the network's pixels to the photo's, and clip them to it."""
    (network_height, network_width), (height, width) = network_size, photo_size
    scale = torch.tensor([width / network_width, height / network_height] * 2)
    limit = torch.tensor([width, height] * 2, dtype=boxes.dtype)
    return torch.minimum((boxes * scale).clamp(min=0), limit)


def _in_photo(points: Tensor, boxes: Tensor) -> Tensor:
    """Points (R, P, 2) relative to boxes (R, 4), in the boxes' pixels."""
    return boxes[:, None, :2] + points * (boxes[:, None, 2:] - boxes[:, None, :2])


def _keep(detections: Detections, photo_boxes: Tensor, options: Options, wanted: list[int] | None) -> Tensor:
    """Indices of the detections that were asked for, best first; boxes that scaling made empty are dropped."""
    keep = (detections.scores >= options.score_threshold) & (photo_boxes[:, 2:] > photo_boxes[:, :2]).all(dim=1)
    if wanted is not None:
        keep &= torch.isin(detections.classes, torch.tensor(wanted))
    indices = keep.nonzero().flatten()
    order = detections.scores[indices].argsort(descending=True, stable=True)
    return indices[order][: options.max_detections]
