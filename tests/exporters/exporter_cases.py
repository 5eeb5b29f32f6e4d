"""Predictions to export, built by hand or drawn by hypothesis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from pointrend.masks.decode import Segmentation
from pointrend.masks.polygons import polygons
from pointrend.masks.rle import encode_crop
from pointrend.structures.prediction import Instance, Prediction

CATEGORIES: list[dict[str, Any]] = [
    {"id": 1, "name": "person"},
    {"id": 17, "name": "cat"},
    {"id": 90, "name": 'tooth "brush": x'},
]


def instance(mask, category=0, score=0.9, form="rle", mask_score=None):
    rows, columns = np.nonzero(mask)
    box = (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1) if rows.size else (0, 0, 1, 1)
    left, top, width, height = map(float, box)
    forms: dict[str, Callable[[], Segmentation | None]] = {
        "rle": lambda: encode_crop(mask, 0, 0, *mask.shape),
        "polygon": lambda: polygons(mask, 0, 0),
        "none": lambda: None,
    }
    return Instance(
        category_id=CATEGORIES[category]["id"],
        category=CATEGORIES[category]["name"],
        score=score,
        bbox=(left, top, width, height),
        area=None if form == "none" else int(mask.sum()),
        segmentation=forms[form](),
        mask_score=mask_score,
        edge_uncertainty=None if mask_score is None else 1 - mask_score,
    )


def prediction(size, *instances, task="instances", segments=()):
    return Prediction(size[1], size[0], instances, {"name": "m", "version": "1"}, task=task, segments=segments)


def disc(size, y, x, radius):
    rows, columns = np.ogrid[: size[0], : size[1]]
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


@st.composite
def predictions(draw):
    """Small photos with up to four instances whose masks are noise of any density, down to none and up to all."""
    size = draw(st.integers(1, 24)), draw(st.integers(1, 24))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    found = [
        instance(
            random.random(size) < draw(st.sampled_from([0.0, 0.02, 0.3, 0.7, 1.0])),
            draw(st.integers(0, len(CATEGORIES) - 1)),
            draw(st.floats(0, 1)),
        )
        for _ in range(draw(st.integers(0, 4)))
    ]
    return prediction(size, *sorted(found, key=lambda each: -each.score))
