"""A prediction as people hold it: masks on demand, and images in every form."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pointrend.images.inputs import file_bytes, pixels
from pointrend.masks.polygons import polygons
from pointrend.masks.rle import encode_crop
from pointrend.structures.prediction import Instance, Prediction, Segment


def found(mask, form="rle"):
    segmentation = {"rle": encode_crop(mask, 0, 0, *mask.shape), "polygon": polygons(mask, 0, 0), "none": None}[form]
    return Instance(1, "person", 0.9, (1.0, 2.0, 3.0, 4.0), int(mask.sum()), segmentation)


def block(size, y, x, height, width):
    mask = np.zeros(size, bool)
    mask[y : y + height, x : x + width] = True
    return mask


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 3), st.integers(0, 2**32 - 1))
def test_masks_are_decoded_together(height, width, count, seed):
    drawn = np.random.default_rng(seed).random((count, height, width)) < 0.5
    prediction = Prediction(width, height, tuple(found(mask) for mask in drawn), {})
    masks = prediction.masks()
    assert masks.dtype == bool
    np.testing.assert_array_equal(masks, drawn)
    for instance, mask in zip(prediction.instances, drawn, strict=True):
        np.testing.assert_array_equal(instance.mask(), mask)


def test_masks_of_polygons_and_segments():
    mask = block((40, 60), 10, 20, 15, 25)
    polygonal = Prediction(60, 40, (found(mask, "polygon"),), {})
    assert np.count_nonzero(polygonal.masks()[0] ^ mask) < 20
    segment = Segment(1, "person", int(mask.sum()), encode_crop(mask, 0, 0, 40, 60))
    semantic = Prediction(60, 40, (), {}, task="semantic", segments=(segment,))
    np.testing.assert_array_equal(semantic.masks(), mask[None])
    with pytest.raises(ValueError, match="has no mask"):
        Prediction(60, 40, (found(mask, "none"),), {}).masks()


def test_it_prints_without_the_masks_bytes():
    text = repr(Prediction(60, 40, (found(block((40, 60), 0, 0, 5, 5)),), {}))
    assert "person" in text
    assert "counts" not in text


class TestPhotos:
    def turned(self, tmp_path):
        """A JPEG of 20x10 that is upright as 10x20."""
        exif = Image.Exif()
        exif[0x0112] = 6
        path = tmp_path / "turned.jpg"
        Image.new("RGB", (20, 10), (200, 10, 10)).save(path, exif=exif)
        return path

    def test_every_form_of_a_turned_photo_is_upright(self, tmp_path):
        path = self.turned(tmp_path)
        assert pixels(path).shape == pixels(Image.open(path)).shape == (20, 10, 3)
        assert file_bytes(path) == path.read_bytes()

    @pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "F", "I;16"])
    def test_every_kind_of_pil_image_becomes_pixels(self, mode):
        assert pixels(Image.new(mode, (6, 4))).shape == (4, 6, 3)

    @pytest.mark.parametrize("array", [np.zeros((4, 4)), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8)])
    def test_arrays_are_checked(self, array):
        for read in (pixels, file_bytes):
            with pytest.raises(TypeError, match="HWC uint8 RGB"):
                read(array)
