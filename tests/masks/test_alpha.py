import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from pointrend.masks.alpha import alpha_window, soft_alpha
from pointrend.masks.decode import full
from pointrend.masks.polygons import polygons
from pointrend.masks.rle import encode_crop

Mask = NDArray[np.bool_]
MASKS = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=12))


@given(MASKS)
def test_half_gives_the_mask_again(mask: Mask) -> None:
    np.testing.assert_array_equal(soft_alpha(mask) >= 128, mask)


@given(MASKS)
def test_only_pixels_beside_the_outline_are_partial(mask: Mask) -> None:
    padded = np.pad(mask, 1, mode="edge")
    around = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
    alpha = soft_alpha(mask)
    np.testing.assert_array_equal(alpha == 255, around.all(axis=(2, 3)))
    np.testing.assert_array_equal(alpha == 0, ~around.any(axis=(2, 3)))


@given(MASKS, st.data())
def test_a_larger_mask_is_nowhere_less_opaque(mask: Mask, data: st.DataObject) -> None:
    more = mask | data.draw(arrays(np.bool_, mask.shape))
    assert (soft_alpha(more) >= soft_alpha(mask)).all()


@given(MASKS)
def test_it_is_the_same_from_every_side(mask: Mask) -> None:
    alpha = soft_alpha(mask)
    np.testing.assert_array_equal(soft_alpha(mask.T), alpha.T)
    np.testing.assert_array_equal(soft_alpha(mask[::-1]), alpha[::-1])


@given(MASKS, st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))
def test_a_window_is_the_whole_images(mask: Mask, x: int, y: int, right: int, bottom: int) -> None:
    """At the image's edge an object goes on; everywhere else its window has room for the soft edge."""
    whole = np.pad(mask, ((y, bottom), (x, right)))
    left, top, alpha = alpha_window(encode_crop(mask, x, y, *whole.shape), whole.shape)
    full = np.zeros(whole.shape, np.uint8)
    full[top : top + alpha.shape[0], left : left + alpha.shape[1]] = alpha
    np.testing.assert_array_equal(full, soft_alpha(whole))


@pytest.mark.parametrize("alpha", ["soft", "hard"])
def test_polygons_and_nothing(alpha: str) -> None:
    assert alpha_window([], (4, 4), alpha)[2].size == 0  # type: ignore[arg-type]
    outline = polygons(np.ones((4, 5), bool), 2, 3)
    mask = np.zeros((20, 20), bool)
    x, y, found = alpha_window(outline, (20, 20), alpha)  # type: ignore[arg-type]
    mask[y : y + found.shape[0], x : x + found.shape[1]] = found >= 128
    np.testing.assert_array_equal(mask, full(outline, (20, 20)))


def test_hard_is_the_mask() -> None:
    mask = np.random.default_rng(0).random((30, 20)) < 0.5
    x, y, alpha = alpha_window(encode_crop(mask, 0, 0, 30, 20), (30, 20), "hard")
    np.testing.assert_array_equal(alpha, mask[y : y + alpha.shape[0], x : x + alpha.shape[1]] * np.uint8(255))
