from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pointrend.datasets.annotations import Annotations, LabelledImage
from pointrend.training.augment import Augmentation, colour_matrix, place, place_mask, tight_boxes
from tests.training import toy

STILL: dict[str, Any] = {"flip": 0.0, "brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}


@pytest.fixture(scope="module", name="annotations")
def read_annotations(tmp_path_factory: pytest.TempPathFactory) -> Annotations:
    data = toy.write(tmp_path_factory.mktemp("toy"), train=12)
    return Annotations.read(data / "instances_train.json", data / "images")


def full_mask(photo: LabelledImage, number: int) -> np.ndarray:
    x, y, window = photo.objects[number].window()
    mask = np.zeros((photo.height, photo.width), dtype=bool)
    mask[y : y + window.shape[0], x : x + window.shape[1]] = window
    return mask


def test_at_its_own_size_a_photo_stays_as_it_is(annotations: Annotations) -> None:
    photo = annotations[0]
    sample = Augmentation(192, (1.0, 1.0), **STILL)(photo, np.random.default_rng(0))
    assert np.array_equal(sample.image.numpy(), np.asarray(Image.open(photo.path)))
    assert len(sample.masks) == len(photo.objects)
    for number in range(len(photo.objects)):
        assert np.array_equal(sample.masks[number].numpy(), full_mask(photo, number))


def test_a_mirrored_crop_is_the_crop_mirrored(annotations: Annotations) -> None:
    photo = annotations[1]
    plain = Augmentation(160, (0.7, 0.7), **STILL)(photo, np.random.default_rng(3))
    mirrored = Augmentation(160, (0.7, 0.7), **STILL | {"flip": 1.0})(photo, np.random.default_rng(3))
    assert torch.equal(mirrored.image, plain.image.flip(1))
    assert torch.equal(mirrored.masks, plain.masks.flip(2))
    assert torch.equal(mirrored.boxes[:, 0], 160 - plain.boxes[:, 2])
    assert torch.equal(mirrored.boxes[:, 2], 160 - plain.boxes[:, 0])


def test_places_by_hand() -> None:
    small = place((200, 100), 64, 0.5, np.array([0.0, 0.999]))
    assert (small.x, small.y, small.target) == (0, 48, (0, 48, 32, 64))
    large = place((200, 100), 64, 2.0, np.array([0.5, 0.0]))
    assert (large.scale_x, large.x, large.y, large.target) == (0.64, -32, 0, (0, 0, 64, 64))


def test_a_mask_is_scaled_with_its_photo() -> None:
    placement = place((64, 64), 128, 1.0, np.zeros(2))
    box, part = place_mask(np.ones((10, 20), dtype=bool), 5, 7, placement)
    assert box == (10, 14, 50, 34)
    assert part.all()
    outside = place((64, 64), 32, 4.0, np.zeros(2))
    box, part = place_mask(np.ones((4, 4), dtype=bool), 60, 60, outside)
    assert (box, part.size) == ((0, 0, 0, 0), 0)


def test_cut_objects_and_crowds_are_neutral(tmp_path: Path) -> None:
    from pycocotools import mask as coco_mask

    Image.new("RGB", (100, 100)).save(tmp_path / "photo.png")

    def item(x0: int, y0: int, x1: int, y1: int, crowd: bool = False) -> object:
        from pointrend.datasets.annotations import LabelledObject

        mask = np.zeros((100, 100), dtype=np.uint8)
        mask[y0:y1, x0:x1] = 1
        return LabelledObject(0, coco_mask.encode(np.asfortranarray(mask)), crowd)

    objects = (item(0, 0, 20, 20), item(0, 40, 20, 60, crowd=True), item(46, 0, 96, 20))
    photo = LabelledImage(tmp_path / "photo.png", 100, 100, "", (True,), objects)  # type: ignore[arg-type]

    # Twice as large as fits, from the left top corner on: the crop shows the photo's first 50 pixels, each twice.
    class Corner(np.random.Generator):
        def random(self, *args: Any, **kwargs: Any) -> Any:
            return np.zeros(2) if args else 0.9

    sample = Augmentation(100, (2.0, 2.0), **STILL)(photo, Corner(np.random.PCG64(0)))
    assert sample.boxes.tolist() == [[0, 0, 40, 40]]
    # 4 of 50 columns of the third are left.
    assert sample.neutral.tolist() == [[0, 80, 40, 100], [92, 0, 100, 40]]


@given(seed=st.integers(0, 2**32), scale=st.floats(0.2, 3.0))
def test_boxes_are_tight_and_inside(annotations: Annotations, seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    sample = Augmentation(96, (scale, scale))(annotations[seed % len(annotations)], rng)
    assert sample.image.shape == (96, 96, 3)
    assert sample.labelled.tolist() == [True] * 3
    assert len(sample.masks) == len(sample.classes) == len(sample.boxes)
    for mask, (x0, y0, x1, y1) in zip(sample.masks, sample.boxes.int().tolist(), strict=True):
        rows, columns = mask.nonzero(as_tuple=True)
        assert (x0, y0, x1, y1) == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


def test_the_same_generator_makes_the_same_crop(annotations: Annotations) -> None:
    one, two = (Augmentation(96)(annotations[2], np.random.default_rng(5)) for _ in range(2))
    assert torch.equal(one.image, two.image)
    assert torch.equal(one.masks, two.masks)


def test_colours_by_hand() -> None:
    colour = np.array([100.0, 50.0, 200.0, 80.0])  # red, green, blue, and the photo's mean grey
    assert colour_matrix(1, 1, 1) @ colour == pytest.approx([100, 50, 200])
    assert colour_matrix(1.5, 1, 1) @ colour == pytest.approx([150, 75, 300])
    assert colour_matrix(1, 0.5, 1) @ colour == pytest.approx([90, 65, 140])
    grey = 0.299 * 100 + 0.587 * 50 + 0.114 * 200
    assert colour_matrix(1, 1, 0) @ colour == pytest.approx([grey] * 3)
    assert colour_matrix(1, 1, 1, turn=1 / 3) @ colour == pytest.approx([50, 200, 100])


def test_tight_boxes_by_hand() -> None:
    masks = torch.zeros(2, 6, 6, dtype=torch.bool)
    masks[0, 1:3, 2:5] = True
    masks[1, 5, 0] = True
    assert tight_boxes(masks).tolist() == [[2, 1, 5, 3], [0, 5, 1, 6]]


def test_a_squeezed_photo_is_a_square_and_its_masks_go_with_it(annotations: Annotations) -> None:
    placement = place((200, 100), 64, 1.0, np.zeros(2), squeeze=1.0)
    assert (placement.scale_x, placement.scale_y, placement.target) == (0.32, 0.64, (0, 0, 64, 64))
    halfway = place((200, 50), 64, 1.0, np.zeros(2), squeeze=0.5)
    assert halfway.target == (0, 0, 64, 32)  # half of the power of four between both
    squeezed = Augmentation(96, (1.0, 1.0), squeeze=(1.0, 1.0), **STILL)(annotations[0], np.random.default_rng(0))
    assert squeezed.boxes.amax() <= 96
    assert len(squeezed.masks) == len(annotations[0].objects)
