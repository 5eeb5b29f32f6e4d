import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pointrend.errors import ImageTooLarge, InvalidRequest, UnsupportedImage
from pointrend.images.decode import decode
from pointrend.images.limits import ImageLimits

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def quadrants() -> Image.Image:
    """24 x 16: red and green above, blue and white below."""
    image = Image.new("RGB", (24, 16), RED)
    image.paste(GREEN, (12, 0, 24, 8))
    image.paste(BLUE, (0, 8, 12, 16))
    image.paste(WHITE, (12, 8, 24, 16))
    return image


def corners(pixels: np.ndarray) -> list[tuple[int, ...]]:
    """Colours near the corners: top left, top right, bottom left, bottom right."""
    return [tuple(int(v) for v in pixels[y, x]) for y in (3, -4) for x in (3, -4)]


def png_header(width: int, height: int, bits: int = 8, colour: int = 2) -> bytes:
    """A PNG that declares its size and carries next to no pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_formats_come_back_as_they_were(kind: str) -> None:
    pixels = decode(encoded(quadrants(), kind))
    assert pixels.dtype == np.uint8
    assert pixels.flags.writeable
    assert pixels.flags.c_contiguous
    np.testing.assert_array_equal(pixels, np.asarray(quadrants()))


@pytest.mark.parametrize(("kind", "options"), [("JPEG", {"quality": 95, "subsampling": 0}), ("WEBP", {"quality": 95})])
def test_lossy_formats_come_back_nearly_so(kind: str, options: dict) -> None:
    difference = np.abs(
        np.array(corners(decode(encoded(quadrants(), kind, **options)))) - corners(np.asarray(quadrants()))
    )
    assert difference.max() < 30


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF", "PNG", "MPO"])
def test_the_first_frame_counts(kind: str) -> None:
    first, second = Image.new("RGB", (16, 16), RED), Image.new("RGB", (16, 16), BLUE)
    data = encoded(first, kind, save_all=True, append_images=[second])
    assert np.abs(decode(data)[8, 8].astype(int) - RED).max() < 8


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_turned_upright(kind: str, orientation: int) -> None:
    # What a camera stores so that the viewer, following the tag, sees the quadrants as they are.
    to_stored = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: np.transpose(a, (1, 0, 2)),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(np.transpose(a, (1, 0, 2)), 2),
        8: lambda a: np.rot90(a, -1),
    }
    upright = np.asarray(quadrants())
    stored = Image.fromarray(np.ascontiguousarray(to_stored[orientation](upright)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = decode(encoded(stored, kind, exif=exif))
    assert pixels.shape == upright.shape
    assert np.abs(np.array(corners(pixels)) - corners(upright)).max() < 60


def test_broken_exif_does_not_spoil_the_photo() -> None:
    data = encoded(quadrants(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xffgarbage")
    assert decode(data).shape == (16, 24, 3)


def test_palette_with_and_without_transparency() -> None:
    palette = quadrants().quantize(4)
    np.testing.assert_array_equal(decode(encoded(palette)), np.asarray(quadrants()))
    red = palette.getpixel((0, 0))
    assert corners(decode(encoded(palette, transparency=red)))[0] == WHITE
    assert corners(decode(encoded(palette, transparency=red)))[1] == GREEN


@pytest.mark.parametrize("mode", ["1", "L"])
def test_grey(mode: str) -> None:
    assert set(np.unique(decode(encoded(quadrants().convert("L").convert(mode))))) <= set(range(256))
    assert decode(encoded(Image.new(mode, (5, 4), 255))).min() == 255


def test_transparency_is_laid_on_white() -> None:
    assert decode(encoded(Image.new("RGBA", (4, 4), (255, 0, 0, 0)))).min() == 255
    half = decode(encoded(Image.new("RGBA", (4, 4), (255, 0, 0, 128))))[0, 0]
    assert half[0] == 255
    assert abs(int(half[1]) - 127) <= 1
    assert abs(int(decode(encoded(Image.new("LA", (4, 4), (0, 128))))[0, 0, 0]) - 127) <= 1
    transparent_grey = encoded(Image.new("L", (4, 4), 7), transparency=7)
    assert decode(transparent_grey).min() == 255
    transparent_red = encoded(Image.new("RGB", (4, 4), RED), transparency=RED)
    assert decode(transparent_red).min() == 255


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_not_clipped(kind: str) -> None:
    levels = np.array([[0, 255, 256, 32768, 65280, 65535]], np.uint16)
    pixels = decode(encoded(Image.fromarray(levels), kind))
    assert pixels[0, :, 0].tolist() == [0, 0, 1, 128, 255, 255]


def test_integers_and_floats_are_stretched() -> None:
    integers = decode(encoded(Image.fromarray(np.array([[-1000, 0, 1000]], np.int32)), "TIFF"))
    assert integers[0, :, 0].tolist() == [0, 128, 255]
    unit = decode(encoded(Image.fromarray(np.array([[0.0, 0.2, 0.6]], np.float32)), "TIFF"))
    assert unit[0, :, 0].tolist() == [0, 51, 153]
    wide = decode(encoded(Image.fromarray(np.array([[np.nan, 0.0, 50.0]], np.float32)), "TIFF"))
    assert wide[0, :, 0].tolist() == [0, 0, 255]


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk(kind: str) -> None:
    assert (
        np.abs(
            np.array(corners(decode(encoded(quadrants().convert("CMYK"), kind)))) - corners(np.asarray(quadrants()))
        ).max()
        < 60
    )


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1)])
def test_extreme_shapes(size: tuple[int, int]) -> None:
    assert decode(encoded(Image.new("RGB", size, RED))).shape == (size[1], size[0], 3)


def test_nothing_is_not_an_image() -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode(b"")
    assert caught.value.code == "missing_image"


@pytest.mark.parametrize(
    "data",
    [
        b"hello, I am a text",
        b"%PDF-1.7\n%...",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"GIF89a",
        png_header(0, 10),
        png_header(10, 0),
        png_header(64, 64),
    ],
    ids=["text", "pdf", "svg", "eps", "png", "jpeg", "gif", "no-width", "no-height", "no-pixels"],
)
def test_what_is_no_image_is_refused(data: bytes) -> None:
    with pytest.raises(UnsupportedImage):
        decode(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF"])
def test_truncated_files_are_refused(kind: str) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    data = encoded(noise, kind)
    with pytest.raises(UnsupportedImage):
        decode(data[: len(data) // 2])


def test_limits_name_what_is_allowed_and_what_came() -> None:
    data = encoded(quadrants())
    for limits, limit, value in [
        (ImageLimits(max_bytes=50), 50, len(data)),
        (ImageLimits(max_pixels=383), 383, 384),
        (ImageLimits(max_side=23), 23, 24),
    ]:
        with pytest.raises(ImageTooLarge) as caught:
            decode(data, limits)
        assert (caught.value.field, caught.value.limit, caught.value.value) == ("image", limit, value)
        assert str(limit) in caught.value.message
        assert str(value) in caught.value.message
    assert decode(data, ImageLimits(max_bytes=len(data), max_pixels=384, max_side=24)).shape == (16, 24, 3)


def bombs() -> dict[str, bytes]:
    gif = bytearray(encoded(Image.new("P", (4, 4)), "GIF"))
    gif[6:10] = struct.pack("<HH", 65535, 65535)
    bmp = bytearray(encoded(Image.new("RGB", (4, 4)), "BMP"))
    bmp[18:26] = struct.pack("<ii", 29_999, 29_999)
    jpeg = bytearray(encoded(Image.new("RGB", (8, 8)), "JPEG"))
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = struct.pack(">HH", 65500, 65500)
    webp = bytearray(encoded(Image.new("RGBA", (8, 8), (1, 2, 3, 4)), "WEBP"))
    assert webp[12:16] == b"VP8X"
    webp[24:30] = (16382).to_bytes(3, "little") * 2
    return {
        "png": png_header(29_999, 29_999),
        "png-beyond-pillow": png_header(2**31 - 1, 2**31 - 1),
        "gif": bytes(gif),
        "bmp": bytes(bmp),
        "jpeg": bytes(jpeg),
        "webp": bytes(webp),
    }


@pytest.mark.parametrize("name", bombs())
def test_bombs_are_refused_by_their_header(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("pixels were decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", never)
    with pytest.raises(ImageTooLarge):
        decode(bombs()[name])


@given(st.data())
def test_damaged_bytes_never_escape_the_error_tree(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM"]))
    damaged = bytearray(encoded(quadrants(), kind))
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    limits = ImageLimits(max_pixels=100_000)
    try:
        pixels = decode(bytes(damaged), limits)
    except (ImageTooLarge, UnsupportedImage):
        return
    assert pixels.ndim == 3
    assert pixels.shape[0] * pixels.shape[1] <= limits.max_pixels


def test_memory_is_bounded_before_pixels_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    progressive = encoded(quadrants(), "JPEG", progressive=True)
    webp = encoded(quadrants(), "WEBP")
    area = 24 * 16
    for data, needed in [
        (encoded(quadrants(), "JPEG"), 7 * area),
        (progressive, 10 * area),
        (webp, 17 * area),
        (encoded(quadrants().convert("L")), 4 * area),
    ]:
        assert decode(data, ImageLimits(max_memory=needed)).shape == (16, 24, 3)
        with monkeypatch.context() as patched:
            patched.setattr("PIL.ImageFile.ImageFile.load", lambda *_: pytest.fail("pixels were decoded"))
            with pytest.raises(ImageTooLarge, match=rf"takes {needed} bytes of memory; at most {needed - 1}") as caught:
                decode(data, ImageLimits(max_memory=needed - 1))
        assert (caught.value.limit, caught.value.value) == (needed - 1, needed)


@pytest.mark.filterwarnings("error")
def test_two_hundred_megapixels_meet_our_limit_and_not_pillows() -> None:
    with pytest.raises(ImageTooLarge, match="20000x10000, which is 200000000 pixels; at most 50000000"):
        decode(png_header(20_000, 10_000))
