"""The result of segmenting one image.

Coordinates are pixels of the upright image, x to the right and y down, from the top left corner.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointrend.masks.decode import Segmentation, full
from pointrend.masks.probabilities import Crop, decode_probabilities
from pointrend.structures.prediction_checks import check_instance, check_prediction, check_segment

MAX_PIXELS = 50_000_000
"""Of the largest image that a prediction is read of, unless more is asked for; the served model takes no larger one."""

UNNAMED = "object"
"""What an instance without a category is called where a name is needed."""


def decode_mask(segmentation: Segmentation, size: tuple[int, int] | None = None) -> NDArray[np.bool_]:
    """Decode a mask at the image's size.

    Args:
        segmentation: run lengths, which know the image's size, or polygons, which do not.
        size: the image's (height, width); needed for polygons only.

    Returns:
        (height, width) bool.

    Raises:
        ValueError: polygons without a size, or what is no mask; see :func:`pointrend.masks.decode.full`.
    """
    if size is None and not isinstance(segmentation, dict):
        raise ValueError("Polygons do not know the image's size: give mask(size=(height, width)).")
    return full(segmentation, size or (0, 0))


@dataclass(frozen=True, slots=True)
class Instance:
    """One object that was found.

    Attributes:
        category_id: the id of its category in the model's dataset (COCO's ids: person is 1); None where the caller gave
            the box without a category, and the model has no say in it.
        category: the category's name; None where ``category_id`` is.
        score: the model's confidence, in [0, 1]; where the caller gave the box, the mask's
            (:func:`pointrend.inference.given_boxes.mask_confidence`).
        bbox: (x, y, width, height) in pixels, as COCO writes boxes.
        area: pixels in the mask; None where only boxes were asked for (``task=detection``).
        segmentation: the mask; None where masks were not asked for.
        points: (x, y) in pixels of the points that the mask's last refinement step predicted anew; None where they
            were not asked for.
        mask_score: the IoU with the object's true mask that the model expects, in [0, 1]; None without masks.
        edge_uncertainty: how unsure the model is of the mask's outline, from 0 (sure) to 1; None without masks.
        probabilities: each pixel's probability of being in the mask, encoded; see :meth:`probability_crop`. None where
            they were not asked for (``masks=probability``) and of an empty mask.
        grid: cells a side of the grid that the mask was refined to, over its box: 7, 28, 56, 112 or 224 for the usual
            model, 448 or 896 after a second look (``zoom``), always 28 of a convolutional head; where tiles are joined,
            the least of the mask's parts. None without masks.
    """

    category_id: int | None
    category: str | None
    score: float
    bbox: tuple[float, float, float, float]
    area: int | None
    segmentation: Segmentation | None = field(repr=False)
    points: tuple[tuple[float, float], ...] | None = None
    mask_score: float | None = None
    edge_uncertainty: float | None = None
    probabilities: dict[str, Any] | None = field(default=None, repr=False)
    grid: int | None = None

    @property
    def name(self) -> str:
        """The category's name, or :data:`UNNAMED` where there is none."""
        return UNNAMED if self.category is None else self.category

    def mask(self, size: tuple[int, int] | None = None) -> NDArray[np.bool_]:
        """Decode the mask: (height, width) bool of the whole image.

        Args:
            size: the image's (height, width); needed where the mask came as polygons.

        Raises:
            ValueError: the prediction was made without masks, or polygons need the size.
        """
        if self.segmentation is None:
            raise ValueError("This instance has no mask: it was predicted with masks=none or task=detection.")
        return decode_mask(self.segmentation, size)

    def probability_crop(self) -> Crop:
        """Decode the probabilities: left and top of a crop of the image, and its values.

        Returns:
            x, y and (h, w) uint8: a value v stands for probabilities from v / 256 to (v + 1) / 256; the mask is where
            v >= 128, and outside the crop it is nowhere.

        Raises:
            ValueError: they were not asked for, or the mask is empty.
        """
        if self.probabilities is None:
            raise ValueError("This instance has no probabilities: ask for masks=probability.")
        return decode_probabilities(self.probabilities)

    def to_dict(self) -> dict[str, Any]:
        """The instance with COCO's field names; with a mask, a valid COCO result once ``image_id`` is added."""
        result: dict[str, Any] = {
            "category_id": self.category_id,
            "category": self.category,
            "score": round(self.score, 4),
            "bbox": [round(value, 2) for value in self.bbox],
        }
        if self.area is not None:
            result["area"] = self.area
        result.update(self.quality())
        if self.grid is not None:
            result["grid"] = self.grid
        if self.segmentation is not None:
            result["segmentation"] = self.segmentation
        if self.probabilities is not None:
            result["probabilities"] = self.probabilities
        if self.points is not None:
            result["points"] = [[round(x, 2), round(y, 2)] for x, y in self.points]
        return result

    def quality(self) -> dict[str, float]:
        """``mask_score`` and ``edge_uncertainty``, to four digits; without a mask, nothing."""
        known = {"mask_score": self.mask_score, "edge_uncertainty": self.edge_uncertainty}
        return {name: round(value, 4) for name, value in known.items() if value is not None}

    @classmethod
    def from_dict(cls, tree: dict[str, Any]) -> Instance:
        """Read what :meth:`to_dict` wrote; what depends on the image's size is checked by Prediction.from_dict only.

        Raises:
            InvalidPrediction: as in :meth:`Prediction.from_dict`.
        """
        check_instance(tree, "instance", None)
        return cls._of(tree)

    @classmethod
    def _of(cls, tree: dict[str, Any]) -> Instance:
        """Read what has been checked."""
        return cls(
            category_id=tree["category_id"],
            category=tree["category"],
            score=tree["score"] + 0.0,  # a float, and 0 where it is -0
            bbox=tuple(tree["bbox"]),
            area=tree.get("area"),
            segmentation=tree.get("segmentation"),
            points=tuple((x, y) for x, y in tree["points"]) if "points" in tree else None,
            mask_score=tree.get("mask_score"),
            edge_uncertainty=tree.get("edge_uncertainty"),
            probabilities=tree.get("probabilities"),
            grid=tree.get("grid"),
        )


@dataclass(frozen=True, slots=True)
class Segment:
    """All pixels of one category; no two segments of an image share a pixel.

    Attributes:
        category_id: the id of the category in the model's dataset.
        category: the category's name.
        area: its pixels.
        segmentation: where they are; None where masks were not asked for.
    """

    category_id: int
    category: str
    area: int
    segmentation: Segmentation | None = field(repr=False)

    def mask(self, size: tuple[int, int] | None = None) -> NDArray[np.bool_]:
        """Decode the mask; arguments, result and errors as :meth:`Instance.mask`."""
        if self.segmentation is None:
            raise ValueError("This segment has no mask: it was predicted with masks=none.")
        return decode_mask(self.segmentation, size)

    def to_dict(self) -> dict[str, Any]:
        """The segment as the served API answers it."""
        result = {"category_id": self.category_id, "category": self.category, "area": self.area}
        return result if self.segmentation is None else result | {"segmentation": self.segmentation}

    @classmethod
    def from_dict(cls, tree: dict[str, Any]) -> Segment:
        """Read what :meth:`to_dict` wrote; checked as :meth:`Instance.from_dict` is.

        Raises:
            InvalidPrediction: as in :meth:`Prediction.from_dict`.
        """
        check_segment(tree, "segment", None)
        return cls._of(tree)

    @classmethod
    def _of(cls, tree: dict[str, Any]) -> Segment:
        """Read what has been checked."""
        return cls(tree["category_id"], tree["category"], tree["area"], tree.get("segmentation"))


@dataclass(frozen=True, slots=True)
class Prediction:
    """Everything that was found in one image; :func:`pointrend.show` draws it.

    Attributes:
        width, height: size of the upright image in pixels.
        instances: by descending score, or in the order of the caller's boxes; empty where the task is ``semantic``.
        model: name and version of the model that answered.
        timing_ms: milliseconds by stage: ``decode``, ``inference``, ``encode``.
        task: ``instances``, ``detection`` or ``semantic``.
        segments: one a category that was seen, largest first, where the task is ``semantic``; else empty.
    """

    width: int
    height: int
    instances: tuple[Instance, ...]
    model: dict[str, str]
    timing_ms: dict[str, float] = field(default_factory=dict)
    task: str = "instances"
    segments: tuple[Segment, ...] = ()

    def masks(self) -> NDArray[np.bool_]:
        """Decode all masks: (N, height, width) bool, one a found instance or, for ``semantic``, one a segment.

        That is a byte a pixel for each: 200 MB for 100 instances of a two-megapixel image. Prefer one at a time,
        ``instance.mask()``, where that does.

        Raises:
            ValueError: the prediction was made without masks.
        """
        size = self.height, self.width
        found: tuple[Instance | Segment, ...] = self.segments if self.task == "semantic" else self.instances
        decoded = np.zeros((len(found), *size), dtype=np.bool_)
        for index, each in enumerate(found):
            decoded[index] = each.mask(size)
        return decoded

    def to_dict(self) -> dict[str, Any]:
        """The prediction as the served API answers it."""
        found: dict[str, Any] = (
            {"segments": [segment.to_dict() for segment in self.segments]}
            if self.task == "semantic"
            else {"instances": [instance.to_dict() for instance in self.instances]}
        )
        return {
            "model": self.model,
            "image": {"width": self.width, "height": self.height},
            "task": self.task,
            **found,
            "timing_ms": {stage: round(value, 1) for stage, value in self.timing_ms.items()},
        }

    @classmethod
    def from_dict(cls, tree: Any, *, max_pixels: int = MAX_PIXELS) -> Prediction:
        """Read what :meth:`to_dict` wrote, from anybody: every method of what is read works.

        Args:
            tree: what JSON gave; it is checked as :mod:`pointrend.structures.prediction_checks` says, and unknown keys
                are ignored.
            max_pixels: the largest image that is accepted.

        Raises:
            InvalidPrediction: a part is missing, of the wrong type, out of range or too large; it names the field.
        """
        check_prediction(tree, max_pixels)
        semantic = tree["task"] == "semantic"
        return cls(
            width=tree["image"]["width"],
            height=tree["image"]["height"],
            instances=() if semantic else tuple(map(Instance._of, tree["instances"])),
            model=tree["model"],
            timing_ms=tree["timing_ms"],
            task=tree["task"],
            segments=tuple(map(Segment._of, tree["segments"])) if semantic else (),
        )
