"""Polygons are filled as pycocotools fills them, and whatever their points are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from pointrend.masks.decode import full, window
from pointrend.masks.polygon_runs import MAX_CROSSINGS, polygon_runs

SIDES = st.integers(1, 40)
NEAR = st.one_of(st.floats(-50, 90), st.integers(-20, 60).map(lambda n: n / 2), st.floats(-1e5, 1e5))
FINITE = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([1e300, -1.7e308, 1e9, 5e-324]))


def rings(coordinates, least=3):
    return st.lists(
        st.lists(st.tuples(coordinates, coordinates), min_size=least, max_size=9).map(
            lambda points: [value for point in points for value in point]
        ),
        min_size=1,
        max_size=4,
    )


@given(SIDES, SIDES, rings(NEAR))
@settings(deadline=None, max_examples=500)
def test_they_are_filled_as_pycocotools_fills_them(height, width, parts):
    expected = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(parts, height, width)))
    np.testing.assert_array_equal(full(parts, (height, width)), expected.astype(bool))


@given(st.integers(0, 40), st.integers(0, 40), rings(FINITE, least=0))
@settings(deadline=None, max_examples=500)
def test_any_finite_points_are_filled(height, width, parts):
    assert full(parts, (height, width)).shape == (height, width)
    x, y, crop = window(parts, (height, width))
    assert x + crop.shape[1] <= width
    assert y + crop.shape[0] <= height


@pytest.mark.parametrize("far", [1e4, 1e9, 1e15, 1e300, 1.7e308])
def test_what_leads_outside_is_cut_off_where_it_leaves(far):
    expected = np.tri(6, 8, dtype=bool)
    np.testing.assert_array_equal(full([[0, 0, far, far, 0, far]], (6, 8)), expected | np.eye(6, 8, dtype=bool))
    assert full([[-far, -far, far, -far, far, far, -far, far]], (6, 8)).all()
    assert not full([[far, 0, 2 * far if far < 1e308 else far, 5, far, 5]], (6, 8)).any()


@pytest.mark.parametrize(
    "part", [[0, 0, 1], [[0, 0], [1, 1]], ["a", 1], [float("nan"), 0], [float("inf"), 0], [10**400, 0], [None, 0]]
)
def test_what_is_no_polygon_is_refused(part):
    with pytest.raises(ValueError, match="A polygon is a list of"):
        polygon_runs([part], (4, 4))


def test_an_outline_that_is_too_long_is_refused():
    with pytest.raises(ValueError, match=f"crosses 7000000000 columns of pixels; at most {MAX_CROSSINGS}"):
        polygon_runs([[0, 0, 7000, 7000] * 500_000], (7000, 7000))


@pytest.mark.parametrize("size", [(-1, 4), (4.0, 4), (True, 4), (4,), None, (2**20, 2**20)])
def test_a_size_must_be_one(size):
    segmentation: list[list[float]] = [[0, 0, 1, 0, 1, 1]]
    with pytest.raises(ValueError, match="A mask"):
        full(segmentation, size)
