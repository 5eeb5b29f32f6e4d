"""A prediction drawn on its image, as a notebook displays it."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import pointrend
from pointrend.masks.rle import encode_crop
from pointrend.structures.prediction import Instance, Prediction


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)


@pytest.fixture
def prediction():
    mask = encode_crop(np.ones((15, 25), bool), 20, 10, 40, 60)
    return Prediction(60, 40, (Instance(1, "person", 0.9, (20.0, 10.0, 25.0, 15.0), 375, mask),), {})


def test_it_draws_on_the_image_in_any_form(image, prediction, tmp_path):
    path = tmp_path / "image.png"
    Image.fromarray(image).save(path)
    for form in (image, Image.fromarray(image), path, str(path), path.read_bytes()):
        drawn = np.asarray(pointrend.show(form, prediction))
        np.testing.assert_array_equal(drawn[30:], image[30:])
        assert (drawn[12:20, 25:40] != image[12:20, 25:40]).any()


def test_a_notebook_displays_what_it_returns(image, prediction):
    assert pointrend.show(image, prediction)._repr_png_().startswith(b"\x89PNG")


def test_opacity_reaches_the_masks(image, prediction):
    outlines = np.asarray(pointrend.show(image, prediction, opacity=0))
    np.testing.assert_array_equal(outlines[22, 22:43], image[22, 22:43])  # inside the outline, below the label


def test_an_image_of_another_size_is_refused(prediction):
    with pytest.raises(ValueError, match="image is 7x7 and the prediction of one of 60x40"):
        pointrend.show(np.zeros((7, 7, 3), np.uint8), prediction)


def test_large_images_are_scaled_down(image):
    large = np.zeros((150, 300, 3), np.uint8)
    assert pointrend.show(large, Prediction(300, 150, (), {}), max_side=100).size == (100, 50)
    assert pointrend.show(large, Prediction(300, 150, (), {})).size == (300, 150)
