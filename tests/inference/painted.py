"""A model that sees what is painted: each colour of an image is one object, found without fail."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pointrend.masks.encode import encode_mask
from pointrend.structures.options import Options
from pointrend.structures.prediction import Instance, Prediction


def painted(image: NDArray[np.uint8], options: Options) -> Prediction:
    """Find each colour: red is the category, green the object's number, blue its score in percent; black is nothing."""
    height, width = image.shape[:2]
    colours = image.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
    numbers = np.flatnonzero(np.bincount(colours.ravel())[1:]) + 1
    found = [_instance(colours == number, int(number), options.masks) for number in numbers]
    found.sort(key=lambda each: -each.score)
    return Prediction(width, height, tuple(found[: options.max_detections]), {"name": "painted", "version": "1"})


def _instance(mask: NDArray[np.bool_], colour: int, form: str) -> Instance:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    y, x = int(rows[0]), int(columns[0])
    crop = mask[y : rows[-1] + 1, x : columns[-1] + 1]
    category, percent = colour >> 16, colour & 0xFF
    return Instance(
        category_id=category,
        category=f"category {category}",
        score=percent / 100,
        bbox=(float(x), float(y), float(crop.shape[1]), float(crop.shape[0])),
        area=int(mask.sum()),
        segmentation=encode_mask(form, crop, x, y, (mask.shape[0], mask.shape[1])),
    )


def near_sighted(image: NDArray[np.uint8], options: Options) -> Prediction:
    """The same, but of an image of more than 256 pixels a side it sees nothing: tiles have to find everything."""
    found = painted(image, options)
    return Prediction(found.width, found.height, (), found.model) if max(image.shape) > 256 else found
