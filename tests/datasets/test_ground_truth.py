import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from pointrend.datasets.ground_truth import GroundTruth
from pointrend.datasets.segmentation import to_rle
from pointrend.errors import DataError, InvalidOption
from pointrend.structures.model_info import Category

KNOWN = (Category(18, "dog"), Category(1, "person"), Category(3, "car"))
POLYGON = [10, 5, 20, 5, 20, 15, 10, 15]


@pytest.fixture
def tree():
    return {
        "images": [
            {"id": 7, "file_name": "b.png", "width": 40, "height": 30, "source": "b", "labelled_category_ids": [1]},
            {"id": 2, "file_name": "a.png", "width": 40, "height": 30},
        ],
        "annotations": [
            {"id": 0, "image_id": 2, "category_id": 18, "segmentation": [POLYGON]},
            {"id": 1, "image_id": 7, "category_id": 18, "segmentation": [POLYGON]},
            {"id": 2, "image_id": 7, "category_id": 1, "segmentation": [POLYGON], "iscrowd": 1, "area": 12.5},
            {"id": 3, "image_id": 2, "category_id": 5, "segmentation": [POLYGON]},
        ],
        "categories": [{"id": 1, "name": "person"}, {"id": 5, "name": "airplane"}, {"id": 18, "name": "dog"}],
    }


@pytest.fixture
def read(tmp_path):
    def write_and_read(tree):
        (tmp_path / "images").mkdir(exist_ok=True)
        for name in ("a.png", "b.png"):
            Image.new("RGB", (40, 30)).save(tmp_path / "images" / name)
        (tmp_path / "instances_val.json").write_text(json.dumps(tree))
        return GroundTruth.read(tmp_path, "val", KNOWN)

    return write_and_read


def test_photos_objects_and_common_categories(read, tree):
    truth = read(tree)

    assert [category.name for category in truth.categories] == ["dog", "person"]
    assert [(photo.id, photo.source, photo.labelled) for photo in truth.images] == [
        (2, "unnamed", None),
        (7, "b", frozenset({1})),
    ]
    # Neither a category that the model does not know, nor one that the photo's source does not label.
    assert [(item.image_id, item.category_id, item.crowd) for item in truth.objects] == [(2, 18, False), (7, 1, True)]
    assert truth.objects[0].bbox == (10, 5, 10, 10)
    assert [item.area for item in truth.objects] == [100, 12.5]
    assert truth.sources() == ("b", "unnamed")


def test_all_is_the_same_as_nothing_said(read, tree):
    tree["images"][0]["labelled_category_ids"] = "all"

    assert len(read(tree).objects) == 3


def test_a_mask_may_be_written_in_three_ways():
    square = np.zeros((30, 40), dtype=np.uint8, order="F")
    square[5:15, 10:20] = 1
    runs = [10 * 30 + 5, *[10, 20] * 9, 10, 30 * 20 + 15]
    compressed = coco_mask.encode(square)["counts"].decode()

    ways = [[POLYGON], {"size": [30, 40], "counts": runs}, {"size": [30, 40], "counts": compressed}]

    for way in ways:
        np.testing.assert_array_equal(coco_mask.decode(to_rle(way, 30, 40)), square)


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        (None, "must be polygons or run lengths, not None"),
        ([], "must be polygons or run lengths"),
        ([[1, 2, 3, 4]], "must be polygons or run lengths"),
        ([[1, 2, 3, 4, 5, float("nan")]], "must be polygons or run lengths"),
        ({"size": [40, 30], "counts": ""}, r"has size \[40, 30\], the image \[30, 40\]"),
        ({"size": [30, 40], "counts": [5, 10]}, "sum to 15, not to 1200"),
        ({"size": [30, 40], "counts": [-5, 1205]}, "must be text or a list of run lengths"),
        ({"size": [30, 40]}, "must be text or a list of run lengths, not None"),
    ],
)
def test_a_bad_mask_is_named(segmentation, message):
    with pytest.raises(DataError, match=message):
        to_rle(segmentation, 30, 40)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tree: tree.pop("images"), "images must be a list of objects, not None"),
        (lambda tree: tree["images"].clear() or tree["annotations"].clear(), "images is empty"),
        (
            lambda tree: tree["images"][0].pop("width"),
            "image b.png: width must be a whole number from 1 to 65536, not None",
        ),
        (lambda tree: tree["images"][0].update(file_name="c.png"), "image c.png: there is no file"),
        (lambda tree: tree["images"][0].update(id=2), "image a.png: its id 2 is also that of b.png"),
        (
            lambda tree: tree["images"][0].update(labelled_category_ids="some"),
            "image b.png: labelled_category_ids must be .* not 'some'",
        ),
        (lambda tree: tree["annotations"][0].update(image_id=9), "annotation 0: image_id 9 belongs to no image"),
        (
            lambda tree: tree["annotations"][0].update(image_id=[2]),
            r"annotation 0: image_id \[2\] must be a whole number",
        ),
        (
            lambda tree: tree["annotations"][0].update(category_id="dog"),
            "annotation 0: category_id must be .* not 'dog'",
        ),
        (
            lambda tree: tree["annotations"][0].update(segmentation="x"),
            "annotation 0 of image a.png: segmentation must be",
        ),
        (lambda tree: tree["categories"][0].update(name="helmet"), "category 1 is 'helmet' here and 'person'"),
        (lambda tree: tree.update(categories=[{"id": 99, "name": "kite"}]), r"no category is in common.*\[99\]"),
    ],
)
def test_a_bad_file_is_refused_with_its_name(read, tree, change, message):
    change(tree)

    with pytest.raises(DataError, match=rf"(?s)instances_val\.json: .*{message}"):
        read(tree)


def test_a_file_that_is_missing_or_no_json(tmp_path):
    with pytest.raises(DataError, match=r"instances_test\.json: cannot be read: No such file"):
        GroundTruth.read(tmp_path, "test", KNOWN)
    (tmp_path / "instances_test.json").write_text("{")
    with pytest.raises(DataError, match="is not JSON"):
        GroundTruth.read(tmp_path, "test", KNOWN)
    (tmp_path / "instances_test.json").write_text("[]")
    with pytest.raises(DataError, match="must hold an object"):
        GroundTruth.read(tmp_path, "test", KNOWN)


def test_a_limit_takes_photos_evenly(read, tree):
    tree["images"] = [{**tree["images"][1], "id": number} for number in range(10)]
    truth = read({**tree, "annotations": [{**tree["annotations"][0], "image_id": number} for number in range(10)]})

    for limit, ids in [(1, [0]), (3, [0, 3, 6]), (5, [0, 2, 4, 6, 8]), (10, range(10)), (99, range(10))]:
        limited = truth.limited(limit)
        assert [photo.id for photo in limited.images] == list(ids)
        assert [item.image_id for item in limited.objects] == list(ids)
    assert truth.limited(None) is truth
    for limit in (0, -1):
        with pytest.raises(InvalidOption, match=f"limit must be at least 1, not {limit}"):
            truth.limited(limit)
