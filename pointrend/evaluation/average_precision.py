"""Which detections are right, and average precision over any weighting of the images.

COCO's AP is a mean over categories of the precision at 101 recalls. Matching detections to objects concerns one
image at a time; only the accumulation over images must be done anew for a source's images, or for a resample in
which some images come twice. So matches are kept, and accumulated with a weight for each image, many weightings at
once. With weights of one the result is pycocotools' to the last bit.

Shapes: I images, D detections of a category by descending score, T overlap thresholds, B weightings, K categories.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

THRESHOLDS = np.linspace(0.5, 0.95, 10)  # of IoU: COCO's ten
RECALLS = np.linspace(0.0, 1.0, 101)
AREAS = {
    "all": (0, 1e10),
    "small": (0, 32**2),
    "medium": (32**2, 96**2),
    "large": (96**2, 1e10),
}  # square pixels
MAX_DETECTIONS = 100  # of a category in an image
WEIGHTINGS_AT_ONCE = 64  # keeps (B, D) arrays small

Weights = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CategoryMatches:
    """The detections of one category, judged within one range of areas.

    Attributes:
        image: (D) index of the image of each detection.
        scores: (D) in 0..1.
        right: (T, D) bool: matched to an object.
        counted: (T, D) bool: right or wrong; the rest found a crowd or something outside the range of areas.
        objects: (I) objects to be found in each image.
    """

    image: NDArray[np.intp]
    scores: NDArray[np.float64]
    right: NDArray[np.bool_]
    counted: NDArray[np.bool_]
    objects: NDArray[np.int64]

    @classmethod
    def join(cls, images: Sequence[Mapping[str, Any] | None]) -> CategoryMatches:
        """Put together what COCOeval found in each image; None where an image has neither objects nor detections."""
        objects = np.array([0 if item is None else np.count_nonzero(item["gtIgnore"] == 0) for item in images])
        present = [(index, item) for index, item in enumerate(images) if item is not None]
        if not present:
            nothing = np.zeros((len(THRESHOLDS), 0), dtype=np.bool_)
            return cls(np.zeros(0, dtype=np.intp), np.zeros(0), nothing, nothing, objects)
        scores = np.concatenate([item["dtScores"] for _, item in present])
        # pycocotools orders equal scores by image: so does a stable sort.
        order = np.argsort(-scores, kind="mergesort")
        image = np.concatenate([np.full(len(item["dtScores"]), index) for index, item in present])[order]
        matched = np.concatenate([item["dtMatches"] for _, item in present], axis=1)[:, order] != 0
        ignored = np.concatenate([item["dtIgnore"] for _, item in present], axis=1)[:, order].astype(np.bool_)
        return cls(image.astype(np.intp), scores[order], matched & ~ignored, ~ignored, objects)

    def average_precision(self, weights: Weights) -> NDArray[np.float64]:
        """AP at each threshold.

        Args:
            weights: (B, I) how often each image counts.

        Returns:
            (B, T) in 0..1; nan where the weighted images hold no object.
        """
        chunks = [
            self._average_precision(weights[start : start + WEIGHTINGS_AT_ONCE])
            for start in range(0, len(weights), WEIGHTINGS_AT_ONCE)
        ]
        return np.concatenate(chunks)

    def recall(self, weights: Weights) -> NDArray[np.float64]:
        """The share of objects that any detection found: (B, T) in 0..1; nan where there is no object."""
        found = weights[:, self.image] @ self.right.T
        return found / _or_nan(weights @ self.objects)[:, None]

    def _average_precision(self, weights: Weights) -> NDArray[np.float64]:
        total = _or_nan(weights @ self.objects)[:, None]  # (B, 1)
        each = weights[:, self.image]  # (B, D)
        result = np.zeros((len(weights), len(THRESHOLDS)))
        for index, (right, counted) in enumerate(zip(self.right, self.counted, strict=True)):
            # Precision falls between right detections, so that only those can be its maximum from some recall on.
            places = right.nonzero()[0]
            hits = each[:, places].cumsum(axis=1)
            tries = (each * counted).cumsum(axis=1)[:, places]
            precision = hits / (tries + np.spacing(1))
            highest = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
            # Each of the 101 recalls takes the precision of the first detection that reaches it.
            reached = np.searchsorted(RECALLS, hits / total, side="right")
            result[:, index] = (np.diff(reached, axis=1, prepend=0) * highest).sum(axis=1) / len(RECALLS)
        result[np.isnan(total[:, 0])] = np.nan
        return result


@dataclass(frozen=True, slots=True)
class DetectionMatches:
    """All categories' matches of one kind: of boxes, masks, or masks with their boundaries.

    Attributes:
        categories: ids, K of them.
        by_area: for each range of areas, the matches of each category.
    """

    categories: tuple[int, ...]
    by_area: Mapping[str, tuple[CategoryMatches, ...]]

    def average_precision(self, weights: Weights, area: str = "all") -> NDArray[np.float64]:
        """(B, K, T) AP in 0..1; nan where there is no object. ``weights`` is (B, I)."""
        return np.stack([matches.average_precision(weights) for matches in self.by_area[area]], axis=1)

    def recall(self, weights: Weights) -> NDArray[np.float64]:
        """(B, K, T) recall of at most 100 detections an image, in 0..1; nan where there is no object."""
        return np.stack([matches.recall(weights) for matches in self.by_area["all"]], axis=1)

    def objects(self, weights: Weights) -> NDArray[np.int64]:
        """(B, K) objects to be found."""
        return np.stack([weights @ matches.objects for matches in self.by_area["all"]], axis=1)


def _or_nan(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.where(counts > 0, counts, np.nan)
