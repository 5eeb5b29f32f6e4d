"""Ground truth and predictions made of rectangles, whose overlaps are counted by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pointrend.datasets.coco import DatasetImage
from pointrend.datasets.ground_truth import GroundTruth, TrueObject
from pointrend.masks.rle import encode_crop
from pointrend.structures.model_info import Category
from pointrend.structures.prediction import Instance, Prediction

SIDE = 200  # pixels of every photo
PERSON = Category(1, "person")
DOG = Category(18, "dog")

Rectangle = tuple[int, int, int, int]  # x, y, width, height


def rle(rectangle: Rectangle, side: int = SIDE):
    x, y, width, height = rectangle
    return encode_crop(np.ones((height, width), dtype=bool), x, y, side, side)


def photo(number: int, source: str = "here", labelled: set[int] | None = None) -> DatasetImage:
    return DatasetImage(
        number, Path(f"{number}.jpg"), SIDE, SIDE, source, None if labelled is None else frozenset(labelled)
    )


def thing(photo_id: int, rectangle: Rectangle, category: Category = PERSON, crowd: bool = False) -> TrueObject:
    x, y, width, height = map(float, rectangle)
    return TrueObject(photo_id, category.id, (x, y, width, height), width * height, rle(rectangle), crowd)


def truth(photos, objects, categories=(PERSON, DOG)) -> GroundTruth:
    return GroundTruth(tuple(photos), tuple(objects), tuple(categories))


def found(rectangle: Rectangle, score: float = 0.9, category: Category = PERSON, bbox=None) -> Instance:
    area = rectangle[2] * rectangle[3]
    x, y, width, height = map(float, bbox or rectangle)
    return Instance(category.id, category.name, score, (x, y, width, height), area, rle(rectangle))


def predictions(by_photo: dict[int, list[Instance]]) -> dict[int, Prediction]:
    return {
        number: Prediction(SIDE, SIDE, tuple(sorted(instances, key=lambda one: -one.score)), {"name": "made up"})
        for number, instances in by_photo.items()
    }


def random_scene(seed: int, photos: int = 12, sources: int = 2) -> tuple[GroundTruth, dict[int, Prediction]]:
    """Objects of all sizes, crowds among them, each found a little beside itself or not at all, and false alarms."""
    generator = np.random.default_rng(seed)
    objects: list[TrueObject] = []
    by_photo: dict[int, list[Instance]] = {}
    for number in range(1, photos + 1):
        by_photo[number] = []
        for _ in range(generator.integers(0, 5)):
            category = (PERSON, DOG)[generator.integers(2)]
            width, height = (int(side) for side in generator.integers(8, 120, 2))
            x, y = (int(generator.integers(5, SIDE - side - 5)) for side in (width, height))
            kind = generator.random()
            if kind < 0.85:
                objects.append(thing(number, (x, y, width, height), category, crowd=kind < 0.1))
            if kind > 0.2:
                dx, dy = (int(step) for step in generator.integers(-4, 5, 2))
                score = round(float(generator.random()), 2)  # rounded, so that some are equal
                by_photo[number].append(found((x + dx, y + dy, width, height), score, category))
    shots = [photo(number, f"source {number % sources}") for number in range(1, photos + 1)]
    return truth(shots, objects), predictions(by_photo)
