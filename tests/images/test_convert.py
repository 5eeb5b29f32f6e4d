"""Any picture gives the same pixels as its file, and colours arrive as sRGB."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from pointrend.images.colours import srgb_profile
from pointrend.images.convert import STRIP_PIXELS, to_pixels
from pointrend.images.decode import decode
from pointrend.images.encode import encode_png
from pointrend.images.icc import DISPLAY_P3, REC_2020, SRGB_CURVE, SRGB_PRIMARIES, matrix_profile
from pointrend.images.inputs import file_bytes, pixels

MODES = [
    *("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"),
    *("I", "F", "I;16", "I;16L", "I;16B", "I;16N"),
]


def ramps() -> Image.Image:
    rows, columns = np.mgrid[0:40, 0:60]
    return Image.fromarray(np.stack([60 + columns * 2, 70 + rows * 3, 190 - columns * 2], axis=-1).astype(np.uint8))


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def in_space(profile: bytes) -> Image.Image:
    """The ramps as a picture in another space, its profile not yet on it."""
    made = ImageCms.profileToProfile(
        ramps(), ImageCms.createProfile("sRGB"), ImageCms.ImageCmsProfile(io.BytesIO(profile))
    )
    assert made is not None
    del made.info["icc_profile"]
    return made


def difference(one: np.ndarray, other: np.ndarray) -> int:
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other.astype(int)).max())


@pytest.mark.parametrize("mode", MODES)
def test_a_picture_of_any_mode_is_sent_as_it_is_seen(mode: str) -> None:
    image = Image.new(mode, (7, 5))
    seen = to_pixels(image)
    assert seen.shape == (5, 7, 3)
    np.testing.assert_array_equal(decode(file_bytes(image)), seen)
    np.testing.assert_array_equal(pixels(image), seen)


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_sixteen_bit_files_and_their_pictures_agree(order: str, tmp_path: Path) -> None:
    levels = (np.arange(2400).reshape(40, 60) * 27).astype(order)
    path = tmp_path / "grey.tif"
    Image.frombytes("I;16B" if order == ">u2" else "I;16", (60, 40), levels.tobytes()).save(path)
    want = np.repeat((levels >> 8).astype(np.uint8)[:, :, None], 3, axis=2)
    with Image.open(path) as picture:
        np.testing.assert_array_equal(decode(file_bytes(picture)), want)
    np.testing.assert_array_equal(decode(path.read_bytes()), want)


@pytest.mark.parametrize(
    "values", [np.array([[-(2**31), 0, 2**31 - 1]], np.int32), np.array([[-3e38, 0, 3e38]], np.float32)]
)
def test_deep_values_are_stretched_without_overflow(values: np.ndarray) -> None:
    assert to_pixels(Image.fromarray(values))[0, :, 0].tolist() == [0, 128, 255]


def test_the_transparent_level_of_sixteen_bit_grey_is_white() -> None:
    levels = np.array([[0, 1000, 65535]], np.uint16)
    assert decode(saved(Image.fromarray(levels), transparency=1000))[0, :, 0].tolist() == [0, 255, 255]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_of_many_strips_is_turned_whole(orientation: int) -> None:
    height = 3 * STRIP_PIXELS // 1000 + 17
    stored = np.random.default_rng(orientation).integers(0, 256, (height, 1000, 3), np.uint8)
    image = Image.fromarray(stored)
    image.getexif()[0x0112] = orientation
    turned = {1: stored, 2: stored[:, ::-1], 3: stored[::-1, ::-1], 4: stored[::-1]}
    turned |= {5: stored.transpose(1, 0, 2), 6: np.rot90(stored, -1), 8: np.rot90(stored)}
    turned[7] = np.rot90(stored, 2).transpose(1, 0, 2)
    np.testing.assert_array_equal(to_pixels(image), turned[orientation])


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG", "WEBP", "AVIF"])
@pytest.mark.parametrize(("primaries", "curve"), [(DISPLAY_P3, SRGB_CURVE), (SRGB_PRIMARIES, 1.8), (REC_2020, 2.2)])
def test_colours_are_converted_from_the_profile(kind: str, primaries: Any, curve: Any) -> None:
    profile = matrix_profile(primaries, curve)
    options: dict[str, dict[str, Any]] = {
        "JPEG": {"quality": 100, "subsampling": 0},
        "WEBP": {"lossless": True},
        "AVIF": {"quality": 100},
    }
    data = saved(in_space(profile), kind, icc_profile=profile, **options.get(kind, {}))
    near = 12 if kind in ("JPEG", "AVIF") else 3  # eight bits hold sRGB in a wider space to some levels
    assert difference(decode(data), np.asarray(ramps())) <= near
    assert difference(decode(data), np.asarray(in_space(profile))) > 3
    with Image.open(io.BytesIO(data)) as picture:
        np.testing.assert_array_equal(decode(file_bytes(picture)), decode(data))


@pytest.mark.parametrize("mode", ["RGBA", "P", "L"])
def test_profiles_of_transparent_palette_and_grey_pictures_are_used_or_left(mode: str) -> None:
    profile = matrix_profile(DISPLAY_P3, SRGB_CURVE)
    image = in_space(profile).quantize(64) if mode == "P" else in_space(profile).convert(mode)
    plain, converted = decode(saved(image)), decode(saved(image, icc_profile=profile))
    # An RGB profile says nothing of grey.
    assert (difference(plain, converted) > 3) == (mode != "L")


@pytest.mark.parametrize(
    "profile",
    [b"no profile", matrix_profile(DISPLAY_P3, 2.2)[:200], matrix_profile(DISPLAY_P3, 2.2)[:132] + bytes(400)],
    ids=["words", "cut short", "no tags"],
)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_broken_profile_is_ignored(profile: bytes, mode: str) -> None:
    image = ramps().convert(mode)
    np.testing.assert_array_equal(decode(saved(image, "TIFF", icc_profile=profile)), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("profile", [None, srgb_profile(), matrix_profile(SRGB_PRIMARIES, SRGB_CURVE)])
def test_srgb_is_left_as_it_is(profile: bytes | None) -> None:
    np.testing.assert_array_equal(decode(saved(ramps(), icc_profile=profile)), np.asarray(ramps()))


def test_gamma_and_primaries_of_a_png_are_used_where_it_has_no_profile() -> None:
    def png(gamma: float, srgb: bool = False) -> bytes:
        tags = PngInfo()
        tags.add(b"gAMA", round(gamma * 100_000).to_bytes(4, "big"))
        if srgb:
            tags.add(b"sRGB", b"\0")
        return saved(ramps(), pnginfo=tags)

    np.testing.assert_array_equal(decode(png(0.45455)), np.asarray(ramps()))
    np.testing.assert_array_equal(decode(png(1.0, srgb=True)), np.asarray(ramps()))
    linear = decode(png(1.0))[0, 34]
    assert linear[0] == pytest.approx(255 * (1.055 * (128 / 255) ** (1 / 2.4) - 0.055), abs=2)


def test_lab_comes_back_as_the_colours_it_was_made_from() -> None:
    made = ImageCms.profileToProfile(
        ramps(), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert made is not None
    assert difference(decode(saved(made, "TIFF")), np.asarray(ramps())) < 12


def test_what_is_written_says_that_it_is_srgb() -> None:
    for image in (np.asarray(ramps()), ramps().convert("RGBA"), ramps().convert("P")):
        with Image.open(io.BytesIO(encode_png(image))) as picture:
            assert picture.info["srgb"] == 0
