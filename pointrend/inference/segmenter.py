"""The front door of the library: a photo in, a :class:`~pointrend.structures.prediction.Prediction` out.

Shapes: R detections, S side of a mask in cells. Boxes are (x0, y0, x1, y1) in pixels.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pointrend.config.schema import InstanceConfig
from pointrend.engines import DETECTRON2, EAGER, OPENVINO_INT8, resolve
from pointrend.engines.network import device_of, open_network
from pointrend.errors import InvalidOption
from pointrend.inference.instances import Found, InstanceSegmenter, keep, to_photo
from pointrend.inference.mask_heads import no_conv_head
from pointrend.inference.semantic import SemanticSegmenter
from pointrend.modeling.instance_network import InstanceNetwork
from pointrend.modeling.point_rend import subdivision_plan
from pointrend.modeling.preprocess import resize, to_input
from pointrend.modeling.roi_heads.box_head import Detections
from pointrend.structures.model_info import ModelInfo
from pointrend.structures.options import FULL_REFINEMENT, Options
from pointrend.system.machine import core_quota
from pointrend.weights.folder import ModelFolder

FINE_CELL = 0.5  # pixels of the photo: with a mask's cells this small, its outline is within a quarter of a pixel


class Segmenter(InstanceSegmenter):
    """A model whose sparse parts plain PyTorch runs, and whose dense ones an engine.

    Args:
        model: the network, in evaluation mode.
        info: its name, version and categories.
        engine: what computes its dense parts.
        device: where the model's weights are.
    """

    def __init__(self, model: InstanceNetwork, info: ModelInfo, *, engine: str = EAGER, device: str = "cpu") -> None:
        self.model = model
        self.info = info
        self.engine = engine
        self.device = device

    @property
    def has_points(self) -> bool:
        """Whether the model's own masks are refined at points, so that ``refinement`` means something."""
        return self.model.config.point_head is not None

    @property
    def has_conv_head(self) -> bool:
        """Whether the model can answer ``mask_head=conv``."""
        return self.model.config.conv_mask is not None

    def _find(self, image: NDArray[np.uint8], options: Options, wanted: list[int] | None) -> Found:
        images, network_size = to_input(resize(image, self.model.config), self.model.config)
        features, on_device = self._detect(images.to(self.device), network_size)
        detections = on_device.cpu()
        boxes = to_photo(detections.boxes, network_size, image.shape[:2])
        # Masks are refined for what is kept only: refinement is the costly part of a crowded photo.
        kept = keep(detections, boxes, options, wanted)
        found = Found(boxes[kept], detections.classes[kept], detections.scores[kept])
        if options.task == "detection":
            return found
        return self._with_masks(features, detections.boxes[kept], found, options)

    def _detect(self, images: Tensor, image_size: tuple[int, int]) -> tuple[dict[str, Tensor], Detections]:
        """See :meth:`pointrend.modeling.instance_network.InstanceNetwork.detect`."""
        return self.model.detect(images, image_size)

    def _with_masks(self, features: dict[str, Tensor], boxes: Tensor, found: Found, options: Options) -> Found:
        """Add each mask's logits (S, S), and its points; ``boxes`` are in the network's pixels."""
        boxes, classes = boxes.to(self.device), found.classes.to(self.device)
        if not self.has_points:
            return replace(found, logits=list(self.model.mask_logits(features, boxes, classes).cpu()))
        if options.mask_head == "conv":
            return replace(found, logits=list(self.model.constant_mask_logits(features, boxes, classes).cpu()))
        refinements = torch.full_like(found.classes, options.refinement)
        if not options.exact:
            refinements = refinements.minimum(_useful_refinements(found.boxes, self.model.config))
        logits: list[Tensor] = [torch.empty(0)] * len(boxes)
        points: list[Tensor] | None = [torch.empty(0)] * len(boxes) if options.points else None
        for refinement in sorted(set(refinements.tolist())):
            group = (refinements == refinement).nonzero().flatten()
            regions = (features, boxes[group], classes[group])
            for index, mask in zip(group.tolist(), self.model.mask_logits(*regions, refinement).cpu(), strict=True):
                logits[index] = mask
            if points is not None:
                places = _in_photo(self.model.last_points(*regions, refinement).cpu(), found.boxes[group])
                for index, place in zip(group.tolist(), places, strict=True):
                    points[index] = place
        return replace(found, logits=logits, points=points)

    def _check(self, options: Options) -> None:
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


AnySegmenter = InstanceSegmenter | SemanticSegmenter


def load(model: str | Path = "demo", *, threads: int | None = None, engine: str = EAGER) -> AnySegmenter:
    """Load a model for inference.

    Args:
        model: ``demo`` (comes with the package), a published model or one of the Hugging Face Hub
            (``hf://OWNER/NAME[@REVISION]``) that was pulled (``pointrend weights pull``), or a model folder: weights,
            configuration and ``model.json``.
        threads: CPU threads that torch uses in this process; None leaves torch's own choice, one for each core, or
            takes fewer where this process's container may use fewer.
        engine: what computes the network: one of :data:`pointrend.engines.NAMES`, or ``auto``, for what
            :func:`pointrend.engines.resolve` chooses.

    Raises:
        ConfigError: the folder or its configuration cannot be used, or the engine is unknown, or not installed.
        CheckpointError: the weights cannot be read or do not fit.
    """
    torch.set_num_threads(threads or min(torch.get_num_threads(), core_quota() or sys.maxsize))
    folder = ModelFolder.open(model)
    engine = resolve(engine, folder.network, quantised=(folder.path / OPENVINO_INT8).is_dir())
    if engine == DETECTRON2:
        from pointrend.inference import detectron2

        return detectron2.load(folder)
    network = open_network(folder, engine)
    if not isinstance(network, InstanceNetwork):
        return SemanticSegmenter(network, folder.info)
    return Segmenter(network, folder.info, engine=engine, device=device_of(engine))


def _useful_refinements(boxes: Tensor, config: InstanceConfig) -> Tensor:
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


def _in_photo(points: Tensor, boxes: Tensor) -> Tensor:
    """Points (R, P, 2) relative to boxes (R, 4), in the boxes' pixels."""
    return boxes[:, None, :2] + points * (boxes[:, None, 2:] - boxes[:, None, :2])
