"""What every loaded model has in common: an image in, a :class:`~pointrend.structures.prediction.Prediction` out.

Shapes: H, W of the image in pixels.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from pointrend.engines import EAGER
from pointrend.errors import InvalidOption
from pointrend.images.inputs import check_pixels
from pointrend.inference.tiles import OnTile, segment_in_tiles
from pointrend.structures.categories import wanted_indices
from pointrend.structures.model_info import ModelInfo
from pointrend.structures.option_combinations import check_budget, check_zoom
from pointrend.structures.options import FULL_REFINEMENT, Options
from pointrend.structures.prediction import Instance, Prediction, Segment
from pointrend.system.spinning import follow_load

Raw = TypeVar("Raw")
"""What a network's output is reduced to before it is encoded: detections, or a class map."""

Encoded = tuple[tuple[Instance, ...], tuple[Segment, ...]]


class Segmenter(ABC, Generic[Raw]):
    """A loaded model, one image a call; safe to call from several threads.

    Attributes:
        info: the model's name, version and categories.
        tasks: what it can be asked for, its default first.
        engine: what computes its network.
        takes_boxes: whether it can answer ``boxes``.
    """

    info: ModelInfo
    tasks: tuple[str, ...]
    engine: str = EAGER
    takes_boxes: bool = False
    _no_boxes: str = "predicts a category for each pixel, not objects"

    @property
    @abstractmethod
    def has_points(self) -> bool:
        """Whether the model's own masks are refined at points, so that ``refinement`` means something."""

    @property
    @abstractmethod
    def has_conv_head(self) -> bool:
        """Whether the model can answer ``mask_head=conv``."""

    def __call__(
        self,
        image: NDArray[np.uint8],
        options: Options | None = None,
        *,
        on_tile: OnTile | None = None,
        started: float | None = None,
    ) -> Prediction:
        """Segment an image.

        Args:
            image: (H, W, 3) uint8 RGB, upright.
            options: the defaults of :class:`Options` where left out, with the model's first task. ``format`` is for
                whoever sends the prediction on; here it only chooses the default of ``zoom``.
            on_tile: told, with ``options.tiles``, how many tiles are done and of how many.
            started: when the time of ``options.budget_ms`` began, by :func:`time.perf_counter`; now, where left out.

        Returns:
            instances, best first, or in the order of ``boxes``; or, for ``task=semantic``, segments. ``timing_ms``
            holds ``inference`` (resizing, network, mask logits) and ``encode`` (drawing the masks, their run lengths
            or polygons).

        Raises:
            TypeError: the image is not HWC uint8 RGB.
            InvalidOption: a category that the model does not know, a box outside the image, too many tiles, or what
                the model cannot do.
        """
        check_pixels(image)
        options = options or Options(task=self.tasks[0])
        self._check(options)
        wanted = wanted_indices(self.info, options.categories)
        if options.tiles is not None and max(image.shape[:2]) > options.tiles:
            return segment_in_tiles(self, image, options, on_tile)
        size = image.shape[0], image.shape[1]
        with torch.inference_mode(), follow_load():
            begun = time.perf_counter()
            raw = self._infer(image, options, wanted, started)
            inferred = time.perf_counter()
            instances, segments = self._encode(raw, size, options)
            encoded = time.perf_counter()
        return Prediction(
            width=size[1],
            height=size[0],
            instances=instances,
            model={"name": self.info.name, "version": self.info.version},
            timing_ms={"inference": (inferred - begun) * 1000, "encode": (encoded - inferred) * 1000},
            task=options.task,
            segments=segments,
        )

    @abstractmethod
    def _infer(
        self, image: NDArray[np.uint8], options: Options, wanted: list[int] | None, started: float | None
    ) -> Raw:
        """Run the network and keep what is wanted: categories by index, None for all; ``started`` as when called."""

    @abstractmethod
    def _encode(self, raw: Raw, size: tuple[int, int], options: Options) -> Encoded:
        """Instances or segments of an image of size (H, W), with their masks in the form that was asked for."""

    def _check(self, options: Options) -> None:
        """Refuse what the model cannot do with an InvalidOption."""
        if options.boxes is not None and not self.takes_boxes:
            raise InvalidOption(
                f"The model {self.info.name} {self._no_boxes}: omit boxes.",
                field="boxes",
                code="unsupported_combination",
            )
        if options.task not in self.tasks:
            raise InvalidOption(
                f"The model {self.info.name} predicts a category for each pixel, not objects: send "
                f"task={' or '.join(self.tasks)}, not task={options.task}.",
                field="task",
                limit=list(self.tasks),
                value=options.task,
                code="unsupported_combination",
            )
        if options.mask_head == "conv" and not self.has_conv_head:
            raise InvalidOption(
                f"The model {self.info.name} has no convolutional mask head; mask_head can only be point.",
                field="mask_head",
                limit=["point"],
                value="conv",
                code="missing_mask_head",
            )
        check_zoom(options)
        self._check_refinement(options)
        check_budget(options)

    def _check_refinement(self, options: Options) -> None:
        """Refuse what is for masks that are refined at points with an InvalidOption where they are not."""
        if self.has_points and options.mask_head == "point":
            return
        require_defaults_of_points(
            options,
            points="points=true is for masks that are refined at points; a convolutional head has none.",
            refinement=f"refinement={options.refinement} is for masks that are refined at points; a convolutional head "
            "has one resolution.",
            zoom="zoom=true is for masks that are refined at points; a convolutional head has one resolution.",
            budget_ms=f"budget_ms={options.budget_ms} is for masks that are refined at points; a convolutional head "
            "has no steps to leave out.",
        )


def require_defaults_of_points(options: Options, *, points: str, refinement: str, zoom: str, budget_ms: str) -> None:
    """Refuse ``points``, ``zoom``, ``budget_ms``, and a ``refinement`` that is not full.

    Args:
        options: of the request.
        points: the sentence that refuses ``points``.
        refinement: the sentence that refuses ``refinement``.
        zoom: the sentence that refuses ``zoom``.
        budget_ms: the sentence that refuses ``budget_ms``.

    Raises:
        InvalidOption: one of them is asked for.
    """
    for name, sentence in (("points", points), ("zoom", zoom)):
        if getattr(options, name):
            raise InvalidOption(sentence, field=name, limit=False, value=True, code="missing_mask_head")
    if options.refinement != FULL_REFINEMENT:
        raise InvalidOption(
            f"{refinement} Leave refinement at {FULL_REFINEMENT}.",
            field="refinement",
            limit=FULL_REFINEMENT,
            value=options.refinement,
            code="missing_mask_head",
        )
    if options.budget_ms is not None:
        raise InvalidOption(
            f"{budget_ms} Leave it out.", field="budget_ms", value=options.budget_ms, code="missing_mask_head"
        )
