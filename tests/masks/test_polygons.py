"""Polygons drawn again by pycocotools must be the mask that they came from."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from pointrend.masks.polygons import polygons
from pointrend.structures.prediction import decode_mask

ROWS, COLUMNS = np.mgrid[0:120, 0:160]


def disc(x, y, radius):
    return (COLUMNS + 0.5 - x) ** 2 + (ROWS + 0.5 - y) ** 2 < radius**2


def overlap(mask, traced):
    drawn = decode_mask(traced, mask.shape)
    return (drawn & mask).sum() / (drawn | mask).sum()


SHAPES = {
    "disc": disc(70, 60, 40),
    "disc at the edge": disc(0, 0, 60),
    "whole photo": np.ones((120, 160), bool),
    "ring": disc(70, 60, 40) & ~disc(75, 60, 20),
    "two parts": disc(30, 60, 20) | disc(110, 60, 30),
    "holes": disc(80, 60, 55) & ~disc(60, 60, 10) & ~disc(90, 60, 12) & ~disc(80, 90, 8) & ~disc(80, 30, 4),
    "a part in a hole": (disc(70, 60, 50) & ~disc(70, 60, 30)) | disc(70, 60, 12),
    "slanted": np.abs(ROWS - 0.37 * COLUMNS - 20) < 12,
    "small": disc(20, 20, 12),
}


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_come_back(name):
    mask = SHAPES[name]
    traced = polygons(mask, 0, 0)
    assert overlap(mask, traced) > 0.96
    assert all(len(ring) >= 6 and len(ring) % 2 == 0 for ring in traced)


def test_parts_are_polygons_and_holes_are_not():
    assert len(polygons(SHAPES["two parts"], 0, 0)) == 2
    assert len(polygons(SHAPES["ring"], 0, 0)) == 1
    assert len(polygons(SHAPES["a part in a hole"], 0, 0)) == 2
    assert polygons(np.zeros((4, 4), bool), 0, 0) == []
    assert polygons(np.zeros((0, 0), bool), 0, 0) == []


def test_a_window_is_traced_where_it_lies():
    whole = polygons(SHAPES["disc"], 0, 0)
    assert polygons(SHAPES["disc"][15:105, 25:115], 25, 15) == whole


def test_a_rectangle_keeps_its_edges_between_pixels():
    mask = np.zeros((20, 30), bool)
    mask[5:15, 10:25] = True
    (ring,) = polygons(mask, 0, 0)
    points = np.array(ring).reshape(-1, 2)
    assert points.min(axis=0).tolist() == [10, 5]
    assert points.max(axis=0).tolist() == [25, 15]


def test_thinning_out_makes_them_short():
    traced = polygons(SHAPES["slanted"], 0, 0)
    assert sum(map(len, traced)) < sum(map(len, polygons(SHAPES["slanted"], 0, 0, tolerance=0))) / 4


@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.integers(2, 40), st.floats(0.05, 0.95))
@settings(deadline=None, max_examples=60)
def test_any_mask_is_traced(seed, height, width, density):
    """Noise is the worst case: every pixel its own part or hole."""
    mask = np.random.default_rng(seed).random((height, width)) < density
    traced = polygons(mask, 3, 2)
    assert bool(traced) == bool(mask.any())
    for ring in traced:
        points = np.array(ring).reshape(-1, 2)
        assert len(points) >= 3
        assert (points >= (3, 2)).all()
        assert (points <= (3 + width, 2 + height)).all()
        coco_mask.frPyObjects([ring], height + 2, width + 3)


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30)
def test_blobs_of_more_than_400_pixels_come_back(seed):
    random = np.random.default_rng(seed)
    mask = np.zeros((120, 160), bool)
    for _ in range(random.integers(1, 6)):
        mask |= disc(random.uniform(0, 160), random.uniform(0, 120), random.uniform(6, 40))
    for _ in range(random.integers(0, 4)):
        mask &= ~disc(random.uniform(0, 160), random.uniform(0, 120), random.uniform(2, 12))
    if mask.sum() > 400:
        assert overlap(mask, polygons(mask, 0, 0)) >= 0.9
