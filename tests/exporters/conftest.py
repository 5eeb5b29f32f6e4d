"""Predictions with everything that is awkward."""

from __future__ import annotations

import numpy as np
import pytest

from pointrend.masks.rle import encode_crop
from pointrend.structures.prediction import Segment
from tests.exporters.exporter_cases import disc, instance, prediction


@pytest.fixture
def awkward():
    """A ring with a disc inside it, two parts far apart, one at the photo's corner, and an empty mask."""
    size = 90, 120
    ring = disc(size, 40, 40, 30) & ~disc(size, 40, 40, 18)
    return prediction(
        size,
        instance(ring | disc(size, 40, 40, 6), 0, 0.95),
        instance(disc(size, 20, 90, 12) | disc(size, 70, 100, 9), 1, 0.8),
        instance(disc(size, 89, 119, 15), 0, 0.7),
        instance(np.zeros(size, bool), 2, 0.6),
    )


@pytest.fixture
def semantic():
    mask = disc((20, 30), 10, 10, 5)
    segment = Segment(1, "person", int(mask.sum()), encode_crop(mask, 0, 0, 20, 30))
    return prediction((20, 30), task="semantic", segments=(segment,))


@pytest.fixture
def boxes():
    found = (instance(disc((40, 60), 20, 25, 10), 1, 0.9, "none"), instance(disc((40, 60), 5, 50, 4), 0, 0.5, "none"))
    return prediction((40, 60), *found, task="detection")
