"""Probabilities as a picture: the mask is in them, and no picture from outside is believed."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pointrend.images.encode import encode_png
from pointrend.masks.probabilities import decode_probabilities, encode_probabilities, quantised


@given(st.integers(0, 2**32 - 1))
def test_values_round_down_so_that_the_mask_is_at_128_and_above(seed: int) -> None:
    probabilities = np.random.default_rng(seed).random((6, 9), dtype=np.float32)
    probabilities[0, :3] = 0.5, np.nextafter(np.float32(0.5), np.float32(0)), 1.0
    values = quantised(probabilities)
    np.testing.assert_array_equal(values >= 128, probabilities >= 0.5)
    assert np.abs((values + 0.5) / 256 - probabilities).max() <= 0.5 / 256


def test_a_crop_reads_back_where_it_was() -> None:
    crop = np.arange(12, dtype=np.uint8).reshape(3, 4)
    tree = encode_probabilities(5, 7, crop)
    assert tree is not None
    x, y, read = decode_probabilities(tree, (10, 9))
    assert (x, y) == (5, 7)
    np.testing.assert_array_equal(read, crop)
    assert encode_probabilities(0, 0, np.zeros((0, 0), np.uint8)) is None


@pytest.mark.parametrize(
    ("x", "picture", "problem"),
    [
        (6, Image.new("L", (4, 3)), "outside the 9x10 image"),
        (0, Image.new("RGB", (4, 3)), "not 8-bit grey"),
        (0, Image.new("L", (40, 30)), "1 to 90 are accepted"),
    ],
)
def test_a_picture_that_does_not_fit_is_refused(x: int, picture: Image.Image, problem: str) -> None:
    text = base64.b64encode(encode_png(picture)).decode()
    with pytest.raises(ValueError, match=problem):
        decode_probabilities({"x": x, "y": 0, "png": text}, (10, 9))


CUT_SHORT = base64.b64encode(encode_png(Image.new("L", (4, 3)))[:-20]).decode()


@pytest.mark.parametrize("text", ["", "!", "aGVsbG8=", CUT_SHORT])
def test_what_is_no_picture_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"base64|PNG|damaged|data"):
        decode_probabilities({"x": 0, "y": 0, "png": text}, (10, 9))
