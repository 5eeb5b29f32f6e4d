"""Semantic models: each pixel of an image gets a category."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pointrend.config.schema import SemanticConfig
from pointrend.engines import EAGER
from pointrend.inference.base import Encoded, Segmenter
from pointrend.masks.semantic import ClassMap
from pointrend.modeling.preprocess import resize, to_input
from pointrend.structures.model_info import ModelInfo
from pointrend.structures.options import Options
from pointrend.structures.segments import segments


class SemanticNetwork(Protocol):
    """What gives each pixel a class; :class:`~pointrend.modeling.semantic.SemanticPointRend` says what each part is."""

    @property
    def config(self) -> SemanticConfig:
        """How an image enters the network."""

    def classify(
        self, images: Tensor, image_size: tuple[int, int], original_size: tuple[int, int], refinement: int
    ) -> Tensor:
        """The class of each of the image's pixels: (H, W) int16."""


class SemanticSegmenter(Segmenter[ClassMap]):
    """A loaded semantic model, which answers ``task=semantic`` only.

    Of effect are the options ``categories``, ``masks`` and ``refinement``: 0 stops at the coarse map, each more doubles
    it, as far as the model's steps go.

    Args:
        model: the network, in evaluation mode.
        info: its name, version and categories.
        engine: what computes its dense parts.
    """

    tasks = ("semantic",)
    has_points = True
    has_conv_head = False

    def __init__(self, model: SemanticNetwork, info: ModelInfo, *, engine: str = EAGER) -> None:
        self.model = model
        self.info = info
        self.engine = engine

    def _infer(
        self, image: NDArray[np.uint8], options: Options, wanted: list[int] | None, started: float | None
    ) -> ClassMap:
        classes = self._classify(image, options.refinement)
        if wanted is not None:
            classes[~np.isin(classes, np.array(wanted) + 1)] = 0
        return classes

    def _encode(self, raw: ClassMap, size: tuple[int, int], options: Options) -> Encoded:
        return (), segments(raw, self.info.categories, options.masks)

    def _classify(self, image: NDArray[np.uint8], refinement: int) -> ClassMap:
        """Each pixel's class, (H, W): 1 + the index of its category."""
        images, network_size = to_input(resize(image, self.model.config), self.model.config)
        classes = self.model.classify(images, network_size, (image.shape[0], image.shape[1]), refinement)
        return classes.numpy().astype(np.uint16) + np.uint16(1)
