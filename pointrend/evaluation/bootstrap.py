"""How sure a figure is: the bootstrap over images (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993).

As many images as there are are drawn with replacement, again and again; the figures of these resamples spread about
as those of new images would. Two variants are compared on the same resamples, so that what both find hard in an image
cancels out.

Shapes: I images, B resamples, K categories, T overlap thresholds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointrend.evaluation.average_precision import DetectionMatches, Weights
from pointrend.evaluation.figures import AP50, mean, percent

CONFIDENCE = 95  # percent
RELIABLE_AP50 = 20.0


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure in percent, or a difference of two, with the bounds of its 95 % interval; None where there is none."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Reliability:
    """How well a category is found.

    Attributes:
        category: its id.
        objects: how many it is judged by.
        ap50: of its masks, in percent, with its interval: with few objects a wide one.
        reliable: AP50 is at least 20.
    """

    category: int
    objects: int
    ap50: Interval
    reliable: bool


@dataclass(frozen=True, slots=True)
class Resampled:
    """AP over all images, and over each resample of them.

    Attributes:
        categories: ids, K of them.
        ap: (1 + B, K, T) in 0..1, the images as they are first; nan where a category has no object.
        objects: (K) in the images as they are.
    """

    categories: tuple[int, ...]
    ap: NDArray[np.float64]
    objects: NDArray[np.int64]

    @classmethod
    def of(cls, matches: DetectionMatches, weights: Weights) -> Resampled:
        """Accumulate matches over ``weights`` (1 + B, I) of :func:`resamples`."""
        return cls(matches.categories, matches.average_precision(weights), matches.objects(weights[:1])[0])

    def mean_ap(self, category: int | None = None) -> NDArray[np.float64]:
        """(1 + B) AP, of a category or the mean over those that have an object."""
        by_category = self.ap.mean(axis=2)
        return mean(by_category) if category is None else by_category[:, self.categories.index(category)]


def resamples(images: int, count: int, seed: int = 0) -> Weights:
    """How often each image is drawn: (1 + count, images), the images as they are in the first row."""
    drawn = np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), size=count)
    return np.concatenate([np.ones((1, images), dtype=np.int64), drawn])


def difference(one: Resampled, other: Resampled, category: int | None = None) -> Interval:
    """How much AP the first has more than the other, on the same resamples: overall, or of one category."""
    return _interval(one.mean_ap(category) - other.mean_ap(category))


def reliability(resampled: Resampled) -> Sequence[Reliability]:
    """Judge each category that has an object, those of few objects too, by AP50.

    Few objects make a wide interval. More come from cross-validation: train on all parts of the data but one, run
    each model on the part that it has not seen, and judge the predictions of all parts as those of one model.
    """
    judged = []
    for index, category in enumerate(resampled.categories):
        ap50 = _interval(resampled.ap[:, index, AP50])
        if ap50.value is not None:
            reliable = ap50.value >= RELIABLE_AP50
            judged.append(Reliability(category, int(resampled.objects[index]), ap50, reliable))
    return judged


def _interval(values: NDArray[np.float64]) -> Interval:
    """The first value, and between which bounds the middle 95 % of the others lie (the percentile interval)."""
    known = values[1:][~np.isnan(values[1:])]
    if np.isnan(values[0]) or not known.size:
        return Interval(percent(values[0]), None, None)
    tail = (100 - CONFIDENCE) / 2
    low, high = np.percentile(known, [tail, 100 - tail])
    return Interval(percent(values[0]), percent(low), percent(high))
