from __future__ import annotations

import copy
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pointrend.datasets.annotations import Annotations, LabelledImage
from pointrend.datasets.coco import DatasetImage
from pointrend.datasets.image_file import LIMITS, ImageHeader, read_header
from pointrend.errors import DataError
from pointrend.evaluation.predictions import _decode as judged
from pointrend.images.icc import DISPLAY_P3, SRGB_CURVE, matrix_profile
from pointrend.images.inputs import pixels

SQUARE = [[4.0, 2.0, 12.0, 2.0, 12.0, 8.0, 4.0, 8.0]]  # a polygon of 8 x 6 pixels
# The same in a 20 x 10 photo, column by column: 4 columns and 2 pixels of nothing, then 6 of it in each of 8 columns.
RUNS = [4 * 10 + 2] + [6, 4] * 7 + [6, 2 + 8 * 10 - 0]


def tree() -> dict[str, Any]:
    """Two photos of 20 x 10 pixels with an object each."""
    return {
        "images": [
            {"id": 7, "file_name": "a.png", "width": 20, "height": 10},
            {
                "id": 8,
                "file_name": "b.png",
                "width": 20,
                "height": 10,
                "source": "street",
                "labelled_category_ids": [3],
            },
        ],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 5, "segmentation": SQUARE},
            {"id": 2, "image_id": 8, "category_id": 3, "segmentation": SQUARE, "iscrowd": 1},
        ],
        "categories": [{"id": 3, "name": "car"}, {"id": 5, "name": "hen"}],
    }


def write(folder: Path, content: dict[str, Any]) -> Path:
    (folder / "images").mkdir(exist_ok=True)
    for name in ("a.png", "b.png"):
        Image.new("RGB", (20, 10), "red").save(folder / "images" / name)
    path = folder / "instances_train.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def read(folder: Path, content: dict[str, Any], categories: list[int] | None = None) -> Annotations:
    return Annotations.read(write(folder, content), folder / "images", categories)


def mask(photo: LabelledImage) -> np.ndarray:
    x, y, window = photo.objects[0].window()
    full = np.zeros((photo.height, photo.width), dtype=bool)
    full[y : y + window.shape[0], x : x + window.shape[1]] = window
    return full


def test_categories_sources_and_labels(tmp_path: Path) -> None:
    annotations = read(tmp_path, tree())
    assert [category.name for category in annotations.categories] == ["car", "hen"]
    first, second = annotations.images
    assert (first.labelled, first.objects[0].category, first.objects[0].crowd) == ((True, True), 1, False)
    assert (second.labelled, second.source, second.objects[0].crowd) == ((True, False), "street", True)
    reordered = read(tmp_path, tree(), [5, 3])
    assert [photo.objects[0].category for photo in reordered.images] == [0, 1]


def test_only_the_wanted_categories_stay(tmp_path: Path) -> None:
    annotations = read(tmp_path, tree(), [5])
    # The second photo has no hen and does not say that it has none: it teaches nothing.
    assert [photo.path.name for photo in annotations.images] == ["a.png"]


@pytest.mark.parametrize("form", ["polygon", "runs", "compressed"])
def test_every_form_of_mask_is_the_same_mask(tmp_path: Path, form: str) -> None:
    from pycocotools import mask as coco_mask

    content = tree()
    runs = {"size": [10, 20], "counts": RUNS}
    if form == "runs":
        content["annotations"][0]["segmentation"] = runs
    elif form == "compressed":
        packed = coco_mask.frPyObjects(runs, 10, 20)
        content["annotations"][0]["segmentation"] = {"size": [10, 20], "counts": packed["counts"].decode()}
    expected = np.zeros((10, 20), dtype=bool)
    expected[2:8, 4:12] = True
    assert np.array_equal(mask(read(tmp_path, content).images[0]), expected)


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        (("annotations", 0, "image_id"), 99, "annotation 1: image_id 99 belongs to no image"),
        (("annotations", 0, "segmentation"), "x", r"annotation 1 of image a\.png"),
        (("annotations", 0, "segmentation"), {"size": [1, 2], "counts": "x"}, r"annotation 1 of image a\.png"),
        (("annotations", 0, "iscrowd"), 2, "iscrowd must be 0 or 1, not 2"),
        (("images", 0, "width"), "wide", r"image a\.png: width must be a whole number from 1 to 65536, not 'wide'"),
        (("images", 0, "height"), 0, r"image a\.png: height must be a whole number from 1 to 65536, not 0"),
        (("images", 0, "file_name"), "none.png", r"image none\.png: there is no file"),
        (("images", 1, "id"), 7, r"image b\.png: its id 7 is also that of a\.png"),
        (("images", 1, "labelled_category_ids"), "some", r'labelled_category_ids must be "all" or a list of ids'),
        (("categories", 0, "id"), 5, "the id 5 twice"),
        (("categories", 0, "name"), "", "category 3: name must be text"),
        (("annotations",), {}, "annotations must be a list of objects"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, where: tuple[Any, ...], value: Any, message: str) -> None:
    content = copy.deepcopy(tree())
    spot: Any = content
    for key in where[:-1]:
        spot = spot[key]
    spot[where[-1]] = value
    with pytest.raises(DataError, match=message) as raised:
        read(tmp_path, content)
    assert "instances_train.json" in str(raised.value)


def test_categories_that_cannot_be_learnt(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no category with the id 9; categories has \[3, 5\]"):
        read(tmp_path, tree(), [9])
    with pytest.raises(DataError, match="is listed twice"):
        read(tmp_path, tree(), [5, 5])
    content = tree()
    content["annotations"] = []
    with pytest.raises(DataError, match="no object with a mask of the categories"):
        read(tmp_path, content)


@pytest.mark.parametrize(("width", "height"), [(299, 448), (64, 64), (33, 17)])
@pytest.mark.parametrize("scale", [1.0, 0.5, 0.24, 0.01])
def test_jpegs_are_decoded_smaller_but_never_too_small(tmp_path: Path, width: int, height: int, scale: float) -> None:
    path = tmp_path / "photo.jpg"
    Image.new("RGB", (width, height), "blue").save(path)
    size = LabelledImage(path, width, height, "", (True,), ()).read(scale).size
    assert size[0] >= int(width * scale)
    assert size[1] >= int(height * scale)
    assert size <= (width, height)
    if scale == 0.24:
        assert size[0] < 0.6 * width


@pytest.mark.parametrize("name", ["p3.jpg", "p3.png", "turned.jpg", "cmyk.jpg", "deep.png", "p3.webp", "p3.avif"])
def test_what_is_learnt_from_has_the_pixels_that_are_served(tmp_path: Path, name: str) -> None:
    rows, columns = np.mgrid[0:40, 0:60]
    ramps = np.stack([60 + columns * 2, 70 + rows * 3, 190 - columns * 2], axis=-1).astype(np.uint8)
    image = Image.fromarray(ramps)
    options: dict[str, Any] = {"icc_profile": matrix_profile(DISPLAY_P3, SRGB_CURVE)}
    if name == "turned.jpg":
        exif = Image.Exif()
        exif[0x0112] = 6
        options["exif"] = exif
    elif name == "cmyk.jpg":
        image, options = image.convert("CMYK"), {}
    elif name == "deep.png":
        image, options = Image.fromarray((columns * 1000 + rows).astype(np.uint16)), {}
    path = tmp_path / name
    image.save(path, **options)
    served = pixels(path)
    height, width = served.shape[:2]
    learnt = np.asarray(LabelledImage(path, width, height, "", (True,), ()).read())
    np.testing.assert_array_equal(learnt, served)
    entry = DatasetImage(1, path, width, height, "", None)
    np.testing.assert_array_equal(judged(entry), served)
    assert (read_header(path).width, read_header(path).height) == (width, height)
    half = np.asarray(LabelledImage(path, width, height, "", (True,), ()).read(0.5).resize((width, height)))
    assert np.abs(half.astype(int) - served).mean() < 12  # a profile that is left out of the reduced image: 20


def test_what_pillow_opens_and_nobody_serves_is_refused_by_the_header(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    Image.new("RGB", (20, 10)).save(path, "JPEG2000")
    with pytest.raises(DataError, match="JPEG 2000"):
        read_header(path)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def test_the_header_of_a_png_is_read_without_its_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "photo.png"
    Image.new("RGB", (20, 10)).save(path)
    exif = Image.Exif()
    exif[0x0112] = 6
    data = path.read_bytes()
    path.write_bytes(data[:-12] + chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")) + data[-12:])
    with monkeypatch.context() as context:
        context.setattr(Image, "_getdecoder", lambda *_: pytest.fail("The pixels are decoded."))
        assert read_header(path) == ImageHeader(10, 20, 6)
    assert pixels(path).shape == (20, 10, 3)
    path.write_bytes(data[:-12])
    with pytest.raises(DataError, match="cut off"):
        read_header(path)


def test_two_hundred_megapixels_meet_our_limit(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    header = struct.pack(">IIBBBBB", 20_000, 10_000, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(name, data) for name, data in chunks))
    assert read_header(path) == ImageHeader(20_000, 10_000, 1)
    assert LIMITS.max_pixels > 200_000_000


def test_photos_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    photo = LabelledImage(path, 64, 64, "", (True,), ())
    with pytest.raises(DataError, match=r"photo\.jpg cannot be read"):
        photo.read()
    path.write_bytes(b"no image")
    with pytest.raises(DataError, match=r"photo\.jpg is not an image that can be read"):
        photo.read()
    Image.new("RGB", (32, 64)).save(path)
    with pytest.raises(DataError, match="is 32x64 pixels, but its annotation says 64x64"):
        photo.read()


def test_sources_can_be_left_out(tmp_path: Path) -> None:
    content = tree()
    content["images"][0]["source"] = "zoo"
    annotations = Annotations.read(write(tmp_path, content), tmp_path / "images")
    assert [photo.source for photo in annotations.without_sources(["street"]).images] == ["zoo"]
    assert annotations.without_sources([]) == annotations
    with pytest.raises(DataError, match="without names 'farm', which is not a source of the data: street, zoo"):
        annotations.without_sources(["farm"])
    with pytest.raises(DataError, match="Without the sources street, zoo the data has no object left"):
        annotations.without_sources(["street", "zoo"])
