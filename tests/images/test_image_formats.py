import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from pointrend.images.convert import to_pixels
from pointrend.images.decode import decode
from pointrend.images.formats import FORMATS, SUFFIXES, SUFFIXES_BY_FORMAT
from pointrend.images.icc import DISPLAY_P3, SRGB_CURVE, matrix_profile

DATA = Path(__file__).parent / "data"
CORNERS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]


def corners(pixels: np.ndarray) -> np.ndarray:
    return np.array([pixels[y, x] for y in (4, -4) for x in (4, -4)], dtype=int)


def quadrants() -> Image.Image:
    return Image.fromarray(
        np.array(CORNERS, np.uint8).reshape(2, 2, 3).repeat(16, axis=0).repeat(24, axis=1), mode="RGB"
    )


def test_every_suffix_belongs_to_a_format_that_pillow_registers_it_for() -> None:
    registered = Image.registered_extensions()
    for kind, suffixes in SUFFIXES_BY_FORMAT.items():
        assert {registered[suffix] for suffix in suffixes} <= {kind, "MPO"}
    assert len(set(SUFFIXES)) == len(SUFFIXES)
    assert set(FORMATS) <= Image.OPEN.keys()


@pytest.mark.parametrize("name", ["quadrants.heic", "quadrants-turned.heic"])
def test_heic_is_read_and_turned_once(name: str) -> None:
    # The second is stored turned: by HEIF's own rotation and, as phones do besides, by an EXIF orientation.
    pixels = decode((DATA / name).read_bytes())
    assert pixels.shape == (32, 48, 3)
    assert np.abs(corners(pixels) - CORNERS).max() < 8


@pytest.mark.parametrize("name", ["p3-8-bit.heic", "p3-10-bit.heic", "p3-10-bit.avif"])
def test_colour_codes_and_deep_colours_of_heic_and_avif(name: str) -> None:
    # Made with x265 and SVT-AV1 of these colours in Display P3, which the box `colr` says by its codes 12 and 13.
    colours = np.array([[60, 120, 200], [200, 100, 60], [90, 200, 120], [255, 255, 255]], np.uint8)
    picture = Image.fromarray(colours[None])
    picture.info["icc_profile"] = matrix_profile(DISPLAY_P3, SRGB_CURVE)
    expected = to_pixels(picture)[0].astype(int)
    assert np.abs(expected - colours).max() > 25
    pixels = decode((DATA / name).read_bytes())
    found = np.array([pixels[y, x] for y in (16, -16) for x in (16, -16)], dtype=int)
    assert np.abs(found - expected).max() <= 3


@pytest.mark.parametrize("orientation", [1, 6, 8, 3, 5])
def test_avif_is_read_and_turned_once(orientation: int) -> None:
    assert features.check("avif")
    # How Pillow turns a picture of each orientation upright, undone.
    undone = {
        1: None,
        3: Image.Transpose.ROTATE_180,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    stored = quadrants() if undone is None else quadrants().transpose(undone)
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    stored.save(file, "AVIF", quality=95, subsampling="4:4:4", exif=exif)
    pixels = decode(file.getvalue())
    assert pixels.shape == (32, 48, 3)
    assert np.abs(corners(pixels) - CORNERS).max() < 16
