"""What ``--save`` writes: one entry a format, each image's files on their own."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointrend.exporters import coco_dataset, to_coco, to_labelme, to_mask_pngs, to_yolo, yolo_data
from pointrend.exporters.coco import CocoImage, unnamed_id
from pointrend.images.encode import encode_png
from pointrend.masks.alpha import SOFT, Alpha
from pointrend.predict.box_results import with_masks
from pointrend.predict.files import link_or_copy, write_file, write_folder
from pointrend.predict.images import ImageFile
from pointrend.predict.names import ENDINGS, split_suffix
from pointrend.predict.records import FOLDER as RECORDS
from pointrend.structures.prediction import Prediction
from pointrend.visualize.cutouts import cutouts
from pointrend.visualize.label_map import encode_label_map
from pointrend.visualize.overlay import overlay
from pointrend.visualize.uncertainty import uncertainty_picture

Categories = Sequence[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class ImageResult:
    """An image and what was found in it.

    Attributes:
        image: the file.
        prediction: what was found.
        categories: all that the model knows, ``{"id": ..., "name": ...}``.
        pixels: (H, W, 3) uint8 RGB, for formats that draw on it; else None.
        alpha: the edges of cut-outs.
    """

    image: ImageFile
    prediction: Prediction
    categories: Categories
    pixels: NDArray[np.uint8] | None = None
    alpha: Alpha = SOFT


@dataclass(frozen=True, slots=True)
class Saver:
    """A format.

    Attributes:
        tasks: those that it can hold.
        save: writes an image's result, given the format's folder; None where all images share the files.
        finish: writes what all images share, from (image id, result) pairs; called at the end.
        draws: whether ``save`` needs the result's pixels.
        probabilities: whether it needs the masks' probabilities (``masks=probability``).
    """

    tasks: tuple[str, ...]
    save: Callable[[ImageResult, Path], None] | None = None
    finish: Callable[[Sequence[tuple[int, ImageResult]], Categories, Path], None] | None = None
    draws: bool = False
    probabilities: bool = False


def _coco(results: Sequence[tuple[int, ImageResult]], categories: Categories, folder: Path) -> None:
    counts = Counter(result.image.file_name for _, result in results)
    # Two images of one name, from two folders, are told apart by their whole paths.
    images = [
        CocoImage(
            number if result.image.given is None else result.image.given.image_id,
            result.image.file_name if counts[result.image.file_name] == 1 else result.image.path.as_posix(),
            result.prediction,
        )
        for number, result in results
    ]
    write_file(folder / "instances.json", json.dumps(coco_dataset(images, categories)))
    unnamed = unnamed_id(categories)
    found = [
        each
        for number, result in results
        if result.image.given is None
        for each in to_coco(result.prediction, number, boxes=result.prediction.task == "detection")
    ]
    masked = [
        each
        for _, result in results
        if (given := result.image.given) is not None
        for each in with_masks(given, result.prediction, unnamed)
    ]
    # In the order of the file that they come from.
    found += [result for _, result in sorted(masked, key=lambda each: each[0])]
    write_file(folder / "results.json", json.dumps(found))


def _labelme(result: ImageResult, folder: Path) -> None:
    path = folder / f"{result.image.key}.json"
    image = os.path.relpath(result.image.path, path.parent.absolute())
    write_file(path, json.dumps(to_labelme(result.prediction, Path(image).as_posix()), indent=1))


def _yolo(result: ImageResult, folder: Path) -> None:
    """The label, and the image beside it, where YOLO looks for it."""
    ids = [category["id"] for category in result.categories]
    _, suffix = split_suffix(result.image.path.name)
    link_or_copy(folder / "images" / f"{result.image.key}{suffix}", result.image.path)
    write_file(folder / "labels" / f"{result.image.key}.txt", to_yolo(result.prediction, ids))


def _yolo_data(_results: Sequence[tuple[int, ImageResult]], categories: Categories, folder: Path) -> None:
    write_file(folder / "data.yaml", yolo_data(categories))


def _png(result: ImageResult, folder: Path) -> None:
    if result.prediction.task == "instances":
        write_folder(folder / result.image.key, to_mask_pngs(result.prediction))
    write_file(folder / f"{result.image.key}.png", encode_label_map(result.prediction))


def _overlay(result: ImageResult, folder: Path) -> None:
    drawn = overlay(_pixels(result), result.prediction)
    write_file(folder / f"{result.image.key}.png", encode_png(drawn))


def _uncertainty(result: ImageResult, folder: Path) -> None:
    drawn = uncertainty_picture(_pixels(result), result.prediction)
    write_file(folder / f"{result.image.key}.png", encode_png(drawn))


def _cutouts(result: ImageResult, folder: Path) -> None:
    found = cutouts(_pixels(result), result.prediction, result.alpha)
    pictures = ((f"{each.name}.png", each.png()) for each in found)
    write_folder(folder / result.image.key, pictures)


def _pixels(result: ImageResult) -> NDArray[np.uint8]:
    if result.pixels is None:
        raise ValueError("This format draws on the image, which the result does not hold.")
    return result.pixels


SAVERS = {
    "coco": Saver(("instances", "detection"), finish=_coco),
    "labelme": Saver(("instances", "detection"), _labelme),
    "yolo": Saver(("instances", "detection"), _yolo, _yolo_data),
    "png": Saver(("instances", "semantic"), _png),
    "overlay": Saver(("instances", "detection", "semantic"), _overlay, draws=True),
    "uncertainty": Saver(("instances",), _uncertainty, draws=True, probabilities=True),
    "cutouts": Saver(("instances",), _cutouts, draws=True),
}


def result_folders(out: Path) -> list[Path]:
    """The folders in ``out`` that results go to; pictures there are no images to predict."""
    return [out / name for name in (*SAVERS, RECORDS)]


def holds_results(out: Path, key: str) -> bool:
    """Whether a format's folder has anything of this name: results of an earlier run, or a user's own files."""
    folder, _, leaf = key.rpartition("/")
    places = [*result_folders(out), out / "yolo" / "images", out / "yolo" / "labels"]
    return any(os.path.lexists(place / folder / f"{leaf}{ending}") for place in places for ending in ("", *ENDINGS))
