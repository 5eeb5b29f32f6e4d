"""AP in all its forms, of one kind of matches over one set of photos."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointrend.datasets.ground_truth import GroundTruth
from pointrend.evaluation.average_precision import DetectionMatches, Weights

AP50, AP75 = 0, 5  # indices into THRESHOLDS


@dataclass(frozen=True, slots=True)
class Figures:
    """COCO's figures in percent; None where there is no object to judge by.

    Attributes:
        photos: that label what is judged.
        objects: to be found in them.
        ap: mean over IoU 0.50, 0.55, ... 0.95.
        ap50, ap75: at one IoU.
        small, medium, large: ``ap`` of objects below 32 x 32 pixels, between, and from 96 x 96 on.
        recall: mean over the IoUs of the share of objects found, with at most 100 detections a photo (AR@100).
    """

    photos: int
    objects: int
    ap: float | None
    ap50: float | None
    ap75: float | None
    small: float | None
    medium: float | None
    large: float | None
    recall: float | None


@dataclass(frozen=True, slots=True)
class FigureSet:
    """Figures over one set of photos.

    Attributes:
        overall: the mean over those categories that have an object there.
        by_category: of each category, by its name.
    """

    overall: Figures
    by_category: Mapping[str, Figures]


def figures(matches: DetectionMatches, truth: GroundTruth, weights: Weights) -> FigureSet:
    """All figures.

    Args:
        matches: of one kind.
        truth: what was matched with.
        weights: (I) of the photos; 1 takes a photo, 0 leaves it out.
    """
    rows = weights[None]
    ap = matches.average_precision(rows)[0]  # (K, T)
    sized = {area: matches.average_precision(rows, area)[0].mean(axis=1) for area in ("small", "medium", "large")}
    columns = {
        "ap": ap.mean(axis=1),
        "ap50": ap[:, AP50],
        "ap75": ap[:, AP75],
        **sized,
        "recall": matches.recall(rows)[0].mean(axis=1),
    }  # (K) each
    labels = np.array([[image.labels(number) for image in truth.images] for number in matches.categories])  # (K, I)
    photos = labels @ weights  # (K)
    objects = matches.objects(rows)[0]
    names = {category.id: category.name for category in truth.categories}
    by_category = {
        names[number]: _figures(photos[index], objects[index], {key: column[index] for key, column in columns.items()})
        for index, number in enumerate(matches.categories)
    }
    seen = weights[np.any(labels, axis=0)].sum()
    overall = _figures(seen, objects.sum(), {key: float(mean(column)) for key, column in columns.items()})
    return FigureSet(overall, by_category)


def _figures(photos: int, objects: int, shares: Mapping[str, float]) -> Figures:
    return Figures(int(photos), int(objects), **{key: percent(value) for key, value in shares.items()})


def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean over the last axis of what is a number; nan where nothing is."""
    known = ~np.isnan(values)
    count = known.sum(axis=-1)
    total = np.where(known, values, 0.0).sum(axis=-1)
    result: NDArray[np.float64] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return result


def percent(value: float) -> float | None:
    """A share in percent, to two digits; None of nan."""
    return None if np.isnan(value) else round(100 * float(value), 2)
