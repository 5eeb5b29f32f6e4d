"""A semantic model as the library's front door shows it: a photo in, a prediction with segments out."""

from __future__ import annotations

import time
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pointrend.config.schema import SemanticConfig
from pointrend.engines import EAGER
from pointrend.errors import InvalidOption
from pointrend.inference.mask_heads import no_conv_head
from pointrend.masks.semantic import ClassMap
from pointrend.modeling.preprocess import check_photo, resize, to_input
from pointrend.structures.categories import wanted_indices
from pointrend.structures.model_info import ModelInfo
from pointrend.structures.options import Options
from pointrend.structures.prediction import Prediction
from pointrend.structures.segments import segments


class SemanticNetwork(Protocol):
    """What gives each pixel a class; :class:`~pointrend.modeling.semantic.SemanticPointRend` says what each part is."""

    @property
    def config(self) -> SemanticConfig:
        """How a photo enters the network."""

    def classify(
        self, images: Tensor, image_size: tuple[int, int], photo_size: tuple[int, int], refinement: int
    ) -> Tensor:
        """The class of each of the photo's pixels: (H, W) int16."""


class SemanticSegmenter:
    """A loaded semantic model, which answers ``task=semantic`` only; safe to call from several threads.

    Args:
        model: the network, in evaluation mode.
        info: its name, version and categories.
    """

    tasks = ("semantic",)
    engine = EAGER
    has_points = True
    has_conv_head = False

    def __init__(self, model: SemanticNetwork, info: ModelInfo) -> None:
        self.model = model
        self.info = info

    def __call__(self, image: NDArray[np.uint8], options: Options | None = None) -> Prediction:
        """Give each pixel of a photo its category.

        Args:
            image: HWC uint8 RGB, upright.
            options: ``task`` must be ``semantic``, which is the default here. Of effect are ``categories``, ``masks``
                and ``refinement``: 0 stops at the coarse map, each more doubles it, as far as the model's steps go.

        Returns:
            one segment a category that is seen. ``timing_ms`` holds ``inference`` (resizing, network, classes) and
            ``encode`` (run lengths or polygons).

        Raises:
            TypeError: the image is not HWC uint8 RGB.
            InvalidOption: another task or mask head than the model has, or a category that it does not know.
        """
        check_photo(image)
        options = options or Options(task="semantic")
        self._check(options)
        wanted = wanted_indices(self.info, options.categories)
        started = time.perf_counter()
        classes = self._classify(image, options.refinement)
        if wanted is not None:
            classes[~np.isin(classes, np.array(wanted) + 1)] = 0
        inferred = time.perf_counter()
        found = segments(classes, self.info.categories, options.masks)
        encoded = time.perf_counter()
        return Prediction(
            width=image.shape[1],
            height=image.shape[0],
            instances=(),
            model={"name": self.info.name, "version": self.info.version},
            timing_ms={"inference": (inferred - started) * 1000, "encode": (encoded - inferred) * 1000},
            task="semantic",
            segments=found,
        )

    def _classify(self, image: NDArray[np.uint8], refinement: int) -> ClassMap:
        with torch.inference_mode():
            images, network_size = to_input(resize(image, self.model.config), self.model.config)
            classes = self.model.classify(images, network_size, (image.shape[0], image.shape[1]), refinement)
        return classes.numpy().astype(np.uint16) + np.uint16(1)

    def _check(self, options: Options) -> None:
        if options.task not in self.tasks:
            raise InvalidOption(
                f"The model {self.info.name} gives each pixel a category and finds no single objects: send "
                f"task=semantic, not task={options.task}.",
                field="task",
                limit=list(self.tasks),
                value=options.task,
                code="unsupported_combination",
            )
        if options.mask_head == "conv":
            raise no_conv_head(self.info.name)
