import io
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from pointrend.images.encode import encode_png
from pointrend.masks.decode import window
from pointrend.masks.polygons import polygons
from pointrend.structures.labels import instance_labels
from pointrend.structures.prediction import Instance, Prediction, Segment
from pointrend.visualize.overlay import overlay
from pointrend.visualize.palettes import colour


def rle(mask: np.ndarray) -> dict:
    encoded = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(encoded["size"]), "counts": encoded["counts"].decode()}


def instance(mask: np.ndarray, category: str = "cat", score: float = 0.9, *, with_mask: bool = True) -> Instance:
    rows, columns = np.nonzero(mask)
    box = (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1) if rows.size else (0, 0, 1, 1)
    left, top, width, height = map(float, box)
    return Instance(
        category_id=17,
        category=category,
        score=score,
        bbox=(left, top, width, height),
        area=int(mask.sum()),
        segmentation=rle(mask) if with_mask else None,
    )


def prediction(size: tuple[int, int], *instances: Instance) -> Prediction:
    return Prediction(width=size[1], height=size[0], instances=instances, model={"name": "test", "version": "1"})


def block(size: tuple[int, int], y: int, x: int, h: int, w: int) -> np.ndarray:
    mask = np.zeros(size, bool)
    mask[y : y + h, x : x + w] = True
    return mask


def test_labels_number_each_category_by_score() -> None:
    mask = block((8, 8), 1, 1, 4, 4)
    found = prediction(
        (8, 8),
        instance(mask, "person", 0.6),
        instance(mask, "cat", 0.8),
        instance(mask, "person", 0.9),
        instance(mask, "person", 0.6),
    )
    assert instance_labels(found) == ["person 2", "cat 1", "person 1", "person 3"]
    assert instance_labels(prediction((8, 8))) == []


def test_colours_are_steady_and_well_apart() -> None:
    assert [colour(i) for i in range(100)] == [colour(i) for i in range(100)]
    assert len({colour(i) for i in range(100)}) == 100
    nearest = min(np.linalg.norm(np.subtract(colour(a), colour(b))) for a, b in combinations(range(8), 2))
    assert nearest > 60


def test_only_the_mask_and_the_label_change() -> None:
    size = (200, 300)
    photo = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    before = photo.copy()
    mask = block(size, 60, 100, 80, 120)
    drawn = overlay(photo, prediction(size, instance(mask)), opacity=0.5)
    np.testing.assert_array_equal(photo, before)
    changed = (drawn != photo).any(axis=2)
    assert not changed[150:].any()
    assert not changed[:, 230:].any()
    middle = drawn[100, 160].astype(int)
    assert np.abs(middle - (photo[100, 160].astype(int) + colour(0)) / 2).max() <= 1
    assert tuple(drawn[139, 160]) == colour(0)


def test_opacity_zero_leaves_the_outline_alone() -> None:
    size = (200, 300)
    photo = np.full((*size, 3), 90, np.uint8)
    found = prediction(size, instance(block(size, 60, 100, 80, 120)))
    assert tuple(overlay(photo, found, opacity=0)[100, 160]) == (90, 90, 90)
    assert tuple(overlay(photo, found, opacity=1)[100, 160]) == colour(0)


def test_the_best_instance_is_on_top() -> None:
    size = (200, 200)
    masks = [block(size, 100, 20, 60, 60), block(size, 100, 50, 60, 60)]
    found = prediction(size, instance(masks[0], score=0.9), instance(masks[1], score=0.5))
    drawn = overlay(np.zeros((*size, 3), np.uint8), found, opacity=1)
    assert tuple(drawn[140, 60]) == colour(0)
    assert tuple(drawn[140, 100]) == colour(1)


@pytest.mark.parametrize("level", [0, 127, 255])
def test_labels_can_be_read_on_any_photo(level: int) -> None:
    size = (240, 320)
    photo = np.full((*size, 3), level, np.uint8)
    drawn = overlay(photo, prediction(size, instance(block(size, 100, 50, 100, 200))), opacity=0)
    plate = (drawn == colour(0)).all(axis=2)
    plate[100:] = False
    rows, columns = np.nonzero(plate)
    assert rows.size > 200
    label = drawn[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].astype(int)
    contrast = np.abs(label - colour(0)).sum(axis=2)
    assert (contrast > 200).sum() > 30


def test_labels_of_neighbours_do_not_cover_each_other() -> None:
    size = (400, 400)
    mask = block(size, 150, 100, 100, 100)
    drawn = overlay(
        np.zeros((*size, 3), np.uint8), prediction(size, instance(mask), instance(mask, score=0.8)), opacity=0
    )
    outside_mask = np.ones(size, bool)
    outside_mask[150:250, 100:200] = False
    plates = [((drawn == colour(i)).all(axis=2) & outside_mask).sum() for i in (0, 1)]
    inside = ((drawn == colour(1)).all(axis=2) & ~outside_mask).sum()
    assert plates[0] > 200
    assert plates[1] + inside > 200


def test_boxes_stand_in_for_missing_masks() -> None:
    size = (200, 300)
    mask = block(size, 60, 100, 80, 120)
    drawn = overlay(np.zeros((*size, 3), np.uint8), prediction(size, instance(mask, with_mask=False)))
    assert tuple(drawn[100, 100]) == colour(0)
    assert tuple(drawn[100, 160]) == (0, 0, 0)


def test_polygons_are_drawn_as_their_mask_is() -> None:
    size = (200, 300)
    mask = block(size, 60, 100, 80, 120)
    photo = np.zeros((*size, 3), np.uint8)
    traced = replace(instance(mask), segmentation=polygons(mask, 0, 0))
    drawn, expected = (overlay(photo, prediction(size, each)) for each in (traced, instance(mask)))
    assert (drawn != expected).any(axis=2).sum() < 0.01 * mask.sum()  # a polygon strays by part of a pixel
    assert window([], size)[2].size == 0


def test_segments_have_the_colour_of_their_category() -> None:
    size = (200, 300)
    found = Prediction(
        width=300,
        height=200,
        instances=(),
        model={},
        task="semantic",
        segments=(
            Segment(17, "cat", 9600, rle(block(size, 60, 10, 80, 120))),
            Segment(3, "car", 9600, rle(block(size, 60, 170, 80, 120))),
            Segment(4, "bus", 10, None),
        ),
    )
    drawn = overlay(np.zeros((*size, 3), np.uint8), found, opacity=1)
    assert tuple(drawn[130, 70]) == colour(17)
    assert tuple(drawn[130, 230]) == colour(3)
    assert tuple(drawn[190, 150]) == (0, 0, 0)


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (400, 1), (5, 5)])
def test_tiny_photos(size: tuple[int, int]) -> None:
    photo = np.zeros((*size, 3), np.uint8)
    drawn = overlay(photo, prediction(size, instance(np.ones(size, bool)), instance(np.zeros(size, bool))))
    assert drawn.shape == photo.shape
    assert tuple(drawn[0, 0]) == colour(0)


def test_a_photo_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="10x8"):
        overlay(np.zeros((8, 10, 3), np.uint8), prediction((8, 8)))
    with pytest.raises(ValueError, match="opacity"):
        overlay(np.zeros((8, 8, 3), np.uint8), prediction((8, 8)), opacity=1.5)


def test_png_comes_back_exactly() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    with Image.open(io.BytesIO(encode_png(photo))) as image:
        assert image.format == "PNG"
        np.testing.assert_array_equal(np.asarray(image), photo)
