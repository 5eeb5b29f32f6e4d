from __future__ import annotations

import tracemalloc
from itertools import islice

import numpy as np
import pytest

from pointrend.masks.alpha import Alpha
from pointrend.masks.rle import encode_crop
from pointrend.structures.prediction import Instance, Prediction
from pointrend.visualize.cutouts import cutouts

MODEL = {"name": "m", "version": "1"}


def found(height: int, width: int, *crops: tuple[int, int, int, int]) -> Prediction:
    instances = tuple(
        Instance(
            1,
            "person",
            0.9,
            (float(x), float(y), float(w), float(h)),
            w * h,
            encode_crop(np.ones((h, w), bool), x, y, height, width),
        )
        for x, y, w, h in crops
    )
    return Prediction(width, height, instances, MODEL)


IMAGE = np.random.default_rng(0).integers(1, 256, (40, 60, 3), np.uint8)


def test_soft_edges_need_a_pixel_more_where_the_image_has_it() -> None:
    inner, corner = cutouts(IMAGE, found(40, 60, (10, 5, 20, 15), (50, 30, 10, 10)))
    assert (inner.x, inner.y, inner.pixels.shape) == (9, 4, (17, 22, 4))
    assert (corner.x, corner.y, corner.pixels.shape) == (49, 29, (11, 11, 4))
    assert (corner.pixels[-1, 1:, 3] >= 128).all()  # it goes on beyond the image
    assert corner.pixels[-1, -1, 3] == 255
    assert 0 < inner.pixels[0, 5, 3] < 128 <= inner.pixels[1, 5, 3] < 255


@pytest.mark.parametrize("alpha", ["soft", "hard"])
def test_an_object_has_the_images_colours_and_nothing_around_it(alpha: Alpha) -> None:
    (cutout,) = cutouts(IMAGE, found(40, 60, (10, 5, 20, 15)), alpha)
    height, width = cutout.pixels.shape[:2]
    part = IMAGE[cutout.y : cutout.y + height, cutout.x : cutout.x + width]
    opaque = cutout.pixels[..., 3] == 255
    np.testing.assert_array_equal(cutout.pixels[opaque][:, :3], part[opaque])
    assert (cutout.pixels[..., 3] >= 128).sum() == 20 * 15
    assert opaque.all() == (alpha == "hard")


def test_memory_does_not_grow_with_the_number_of_objects() -> None:
    """A hundred objects, each as large as the photo, of 12 megapixels: never more than a few windows at a time."""
    image = np.zeros((3000, 4000, 3), np.uint8)
    prediction = found(3000, 4000, *[(10, 10, 3980, 2980)] * 100)
    tracemalloc.start()
    for cutout in islice(cutouts(image, prediction), 3):
        assert cutout.pixels.shape == (2982, 3982, 4)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * image.nbytes
