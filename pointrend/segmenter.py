"""The front door of the library: a photo in, a :class:`~pointrend.prediction.Prediction` out.

Shapes: R detections, S side of a mask in cells. Boxes are (x0, y0, x1, y1) in pixels.
"""

from __future__ import annotations

import difflib
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pointrend.errors import InvalidOption
from pointrend.modeling.paste import paste_mask
from pointrend.modeling.rcnn import RCNN, Detections
from pointrend.options import Options
from pointrend.prediction import Instance, Prediction
from pointrend.preprocess import resize, to_input
from pointrend.rle import encode_crop
from pointrend.weights.checkpoint import load_into, read_checkpoint
from pointrend.weights.folder import Category, ModelFolder, ModelInfo

ALL_CATEGORIES = "all"


class Segmenter:
    """A loaded model that segments one photo a call; safe to call from several threads.

    Args:
        model: the network, in evaluation mode.
        info: its name, version and categories.
    """

    def __init__(self, model: RCNN, info: ModelInfo) -> None:
        self.model = model
        self.info = info

    @property
    def has_conv_head(self) -> bool:
        """Whether the model carries Mask R-CNN's head beside PointRend's."""
        return self.model.roi_heads.conv_mask_head is not None

    def __call__(self, image: NDArray[np.uint8], options: Options | None = None) -> Prediction:
        """Find the objects of a photo and draw their masks.

        Args:
            image: HWC uint8 RGB, upright.
            options: thresholds and choices; the defaults of :class:`Options` where left out.

        Returns:
            the instances by descending score. ``timing_ms`` holds ``inference`` (resizing, network, mask
            logits) and ``encode`` (drawing the masks and their run lengths).

        Raises:
            TypeError: the image is not HWC uint8 RGB.
            InvalidOption: a category that the model does not know, or a mask head that it does not carry.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
            raise TypeError(f"An image is HWC uint8 RGB, not {image.dtype} of shape {image.shape}.")
        options = options or Options()
        if options.mask_head == "conv" and not self.has_conv_head:
            raise InvalidOption(
                f"{self.info.name} carries no second mask head; mask_head can only be 'point'.",
                field="mask_head",
                limit=["point"],
                value="conv",
            )
        wanted = self._category_indices(options.categories)
        with torch.inference_mode():
            started = time.perf_counter()
            logits, boxes, classes, scores = self._find(image, options, wanted)
            found = time.perf_counter()
            instances = tuple(
                self._instance(*parts, image.shape[:2], with_mask=options.masks != "none")
                for parts in zip(logits, boxes, classes.tolist(), scores.tolist(), strict=True)
            )
            encoded = time.perf_counter()
        return Prediction(
            width=image.shape[1],
            height=image.shape[0],
            instances=instances,
            model={"name": self.info.name, "version": self.info.version},
            timing_ms={"inference": (found - started) * 1000, "encode": (encoded - found) * 1000},
        )

    def _find(
        self, image: NDArray[np.uint8], options: Options, wanted: list[int] | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Mask logits (R, S, S), boxes (R, 4) in the photo's pixels, classes (R) and scores (R), best first."""
        images, network_size = to_input(resize(image, self.model.config), self.model.config)
        features, detections = self.model.detect(images, network_size)
        boxes = _to_photo(detections.boxes, network_size, image.shape[:2])
        # Masks are refined for what is kept only: refinement is the costly part of a crowded photo.
        kept = _keep(detections, boxes, options, wanted)
        classes = detections.classes[kept]
        regions = detections.boxes[kept]
        if options.mask_head == "conv":
            logits = self.model.constant_mask_logits(features, regions, classes)
        else:
            logits = self.model.mask_logits(features, regions, classes, refinement=options.refinement)
        return logits, boxes[kept], classes, detections.scores[kept]

    def _instance(
        self, logits: Tensor, box: Tensor, index: int, score: float, size: tuple[int, ...], *, with_mask: bool
    ) -> Instance:
        """Draw one mask inside its own box and encode it at once: no full-size mask is ever built."""
        height, width = size
        x, y, crop = paste_mask(logits, box, height, width)
        segmentation: dict[str, Any] | None = encode_crop(crop, x, y, height, width) if with_mask else None
        category = self.info.categories[index]
        x0, y0, x1, y1 = box.tolist()
        return Instance(
            category_id=category.id,
            category=category.name,
            score=score,
            bbox=(x0, y0, x1 - x0, y1 - y0),
            area=int(np.count_nonzero(crop)),
            segmentation=segmentation,
        )

    def _category_indices(self, names_or_ids: tuple[str, ...] | None) -> list[int] | None:
        """Rows of the wanted classes, None for all. What is not asked for by name is hidden where it is unreliable."""
        if names_or_ids == (ALL_CATEGORIES,) or (names_or_ids is None and not self.info.reliable):
            return None
        return [self._category_index(key) for key in names_or_ids or self.info.reliable]

    def _category_index(self, key: str) -> int:
        for index, category in enumerate(self.info.categories):
            if key.lower() == category.name.lower() or key == str(category.id):
                return index
        raise _unknown_category(key, self.info.categories)


def load(model: str | Path = "demo", *, threads: int | None = None) -> Segmenter:
    """Load a model for inference.

    Args:
        model: ``demo`` (comes with the package) or a model folder: weights, configuration and ``model.json``.
        threads: CPU threads that torch uses in this process; None leaves torch's own choice.

    Raises:
        ConfigError: the folder or its configuration cannot be used.
        CheckpointError: the weights cannot be read or do not fit.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    folder = ModelFolder.open(model)
    network = RCNN(folder.config)
    load_into(network, read_checkpoint(folder.weights))
    return Segmenter(network.eval(), folder.info)


def _to_photo(boxes: Tensor, network_size: tuple[int, int], photo_size: tuple[int, ...]) -> Tensor:
    """Scale (R, 4) boxes from the network's pixels to the photo's, and clip them to it."""
    (network_height, network_width), (height, width) = network_size, photo_size
    scale = torch.tensor([width / network_width, height / network_height] * 2)
    limit = torch.tensor([width, height] * 2, dtype=boxes.dtype)
    return torch.minimum((boxes * scale).clamp(min=0), limit)


def _keep(detections: Detections, photo_boxes: Tensor, options: Options, wanted: list[int] | None) -> Tensor:
    """Indices of the detections that were asked for, best first; boxes that scaling made empty are dropped."""
    keep = (detections.scores >= options.score_threshold) & (photo_boxes[:, 2:] > photo_boxes[:, :2]).all(dim=1)
    if wanted is not None:
        keep &= torch.isin(detections.classes, torch.tensor(wanted))
    indices = keep.nonzero().flatten()
    order = detections.scores[indices].argsort(descending=True, stable=True)
    return indices[order][: options.max_detections]


def _unknown_category(key: str, categories: tuple[Category, ...]) -> InvalidOption:
    names = [category.name for category in categories]
    near = difflib.get_close_matches(key.lower(), [name.lower() for name in names], n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return InvalidOption(
        f"This model knows no category {key!r}.{hint} It knows {', '.join(names)}.",
        field="categories",
        limit=names,
        value=key,
        code="unknown_category",
    )
