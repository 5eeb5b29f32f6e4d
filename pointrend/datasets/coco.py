"""Files in COCO's format, read and checked in one place for training, evaluation and calibration.

Objects have polygons or run lengths, compressed or not. Beyond COCO's own keys an image may name its ``source`` and, in
``labelled_category_ids``, the categories whose every object is labelled in it; ``"all"`` or nothing means all.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pycocotools import mask as coco_mask

from pointrend.errors import DataError
from pointrend.masks.rle import decode_crop
from pointrend.structures.model_info import Category

UNNAMED_SOURCE = "unnamed"


@dataclass(frozen=True, slots=True)
class DatasetImage:
    """One image of a data set.

    Attributes:
        id: its number in the file.
        path: its image file.
        width, height: in pixels, upright.
        source: the collection that it comes from.
        labelled: ids of the categories whose every object is labelled in it; None for all of them.
    """

    id: int
    path: Path
    width: int
    height: int
    source: str
    labelled: frozenset[int] | None

    def labels(self, category_id: int) -> bool:
        """Whether objects of a category that carry no mask here are really absent."""
        return self.labelled is None or category_id in self.labelled


@dataclass(frozen=True, slots=True)
class DatasetObject:
    """One labelled object, or a region with a crowd of them.

    Attributes:
        id: its number in the file, as the file has it.
        image: the image that it is in.
        category_id: what it is.
        segmentation: the mask as COCO's compressed run lengths, decodable.
        crowd: a region with many objects that nobody has told apart.
        bbox, area: as the file has them, unchecked; None where it has none.
    """

    id: Any
    image: DatasetImage
    category_id: int
    segmentation: dict[str, Any]
    crowd: bool
    bbox: Any
    area: Any

    @property
    def place(self) -> str:
        """Where it stands, for errors: ``annotation 7 of image a.jpg``."""
        return _place(self.id, self.image)


@dataclass(frozen=True, slots=True)
class CocoFile:
    """A file in COCO's format: its images and categories, and its objects as they are asked for.

    Attributes:
        path: of the file.
        images: in the order of the file.
        categories: in the order of the file.
        annotations: as JSON gave them; :meth:`objects` checks them.
    """

    path: Path
    images: tuple[DatasetImage, ...]
    categories: tuple[Category, ...]
    annotations: Sequence[Mapping[str, Any]]

    @classmethod
    def read(cls, path: Path, folder: Path) -> CocoFile:
        """Read a file whose images' ``file_name`` lie in ``folder``.

        Raises:
            DataError: the file or an image file is missing, or an image or a category is malformed; the message names
                the file and the item.
        """
        tree = read_json(path)
        with naming(path):
            categories = _categories(_items(tree, "categories"))
            images = _images(_items(tree, "images"), folder)
            return cls(path, images, categories, _items(tree, "annotations"))

    def objects(self, category_ids: Collection[int]) -> Iterator[DatasetObject]:
        """The objects of some categories, in the order of the file; other categories' masks are not looked at.

        Raises:
            DataError: an annotation is malformed or belongs to no image.
        """
        by_id = {image.id: image for image in self.images}
        with naming(self.path):
            for item in self.annotations:
                number = _whole(item, "image_id", f"annotation {item.get('id')}")
                if number not in by_id:
                    raise DataError(f"annotation {item.get('id')}: image_id {number} belongs to no image.")
                if _whole(item, "category_id", f"annotation {item.get('id')}") in category_ids:
                    yield _object(item, by_id[number])


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Put a file's path before the message of a DataError that is raised inside."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def read_json(path: Path) -> dict[str, Any]:
    """Read a data set's file, not looking at what its object holds.

    Raises:
        DataError: it is missing, not JSON, or no object; the message names the file.
    """
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is not JSON: {error}.") from error
    if not isinstance(tree, dict):
        raise DataError(f"{path}: must hold an object with images, annotations and categories.")
    return tree


def _items(tree: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    value = tree.get(key)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise DataError(f"{key} must be a list of objects, not {value!r:.100}.")
    return value


def _whole(item: Mapping[str, Any], key: str, place: str) -> int:
    value = item.get(key)
    if type(value) is not int:
        raise DataError(f"{place}: {key} must be a whole number, not {value!r:.100}.")
    return value


def _categories(items: Sequence[Mapping[str, Any]]) -> tuple[Category, ...]:
    names: dict[int, str] = {}
    for item in items:
        number, name = _whole(item, "id", f"category {item.get('id')}"), item.get("name")
        if not isinstance(name, str) or not name:
            raise DataError(f"category {number}: name must be text, not {name!r:.100}.")
        if number in names:
            raise DataError(f"categories has the id {number} twice.")
        names[number] = name
    return tuple(Category(number, name) for number, name in names.items())


def _images(items: Sequence[Mapping[str, Any]], folder: Path) -> tuple[DatasetImage, ...]:
    images: dict[int, DatasetImage] = {}
    for item in items:
        image = _image(item, folder)
        if image.id in images:
            raise DataError(
                f"image {item['file_name']}: its id {image.id} is also that of {images[image.id].path.name}."
            )
        images[image.id] = image
    return tuple(images.values())


def _image(item: Mapping[str, Any], folder: Path) -> DatasetImage:
    name, labelled = item.get("file_name"), item.get("labelled_category_ids", "all")
    if not isinstance(name, str) or not name:
        raise DataError(f"image {item.get('id')}: file_name must be text, not {name!r:.100}.")
    place = f"image {name}"
    number, width, height = (_whole(item, key, place) for key in ("id", "width", "height"))
    for key in ("width", "height"):
        if item[key] < 1:
            raise DataError(f"{place}: {key} must be at least 1, not {item[key]}.")
    if labelled != "all" and not (isinstance(labelled, list) and all(type(number) is int for number in labelled)):
        raise DataError(f'{place}: labelled_category_ids must be "all" or a list of ids, not {labelled!r:.100}.')
    path = folder / name
    if not path.is_file():
        raise DataError(f"{place}: there is no file {path}.")
    source = str(item.get("source", UNNAMED_SOURCE))
    return DatasetImage(
        number, path, width, height, source, labelled=None if labelled == "all" else frozenset(labelled)
    )


def _object(item: Mapping[str, Any], image: DatasetImage) -> DatasetObject:
    place, crowd, segmentation = _place(item.get("id"), image), item.get("iscrowd", 0), item.get("segmentation")
    if crowd not in (0, 1):
        raise DataError(f"{place}: iscrowd must be 0 or 1, not {crowd!r:.100}.")
    try:
        mask = to_rle(segmentation, image.height, image.width)
        if isinstance(segmentation, dict) and isinstance(segmentation.get("counts"), str):
            decode_crop(mask)  # the one form that is taken as it is: better a refusal here than later
    except (DataError, ValueError) as error:
        raise DataError(f"{place}: {error}") from error
    return DatasetObject(
        id=item.get("id"),
        image=image,
        category_id=item["category_id"],
        segmentation=mask,
        crowd=bool(crowd),
        bbox=item.get("bbox"),
        area=item.get("area"),
    )


def _place(number: object, image: DatasetImage) -> str:
    return f"annotation {number} of image {image.path.name}"


def to_rle(segmentation: Any, height: int, width: int) -> dict[str, Any]:
    """Turn any of COCO's ways to write a mask into compressed run lengths.

    Args:
        segmentation: a list of polygons, each x, y, x, y, ... in pixels, or ``{"size": [height, width], "counts":
            ...}`` with a list of run lengths or compressed ones.
        height, width: the image's size in pixels.

    Returns:
        ``{"size": [height, width], "counts": str}``.

    Raises:
        DataError: it is none of these, or of another size than the image.
    """
    if isinstance(segmentation, dict):
        if segmentation.get("size") != [height, width]:
            raise DataError(f"segmentation has size {segmentation.get('size')}, the image [{height}, {width}].")
        counts = segmentation.get("counts")
        if isinstance(counts, str):
            return {"size": [height, width], "counts": counts}
        if isinstance(counts, list) and all(type(run) is int and run >= 0 for run in counts):
            if sum(counts) != height * width:
                raise DataError(f"the counts of segmentation sum to {sum(counts)}, not to {height * width} pixels.")
            return _text(coco_mask.frPyObjects(segmentation, height, width))
        raise DataError(f"counts of segmentation must be text or a list of run lengths, not {counts!r:.100}.")
    if isinstance(segmentation, list) and segmentation and all(map(_is_polygon, segmentation)):
        return _text(coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width)))
    raise DataError(f"segmentation must be polygons or run lengths, not {segmentation!r:.100}.")


def _is_polygon(value: Any) -> bool:
    return isinstance(value, list) and len(value) >= 6 and len(value) % 2 == 0 and all(map(is_number, value))


def is_number(value: Any) -> bool:
    """Whether JSON gave a finite number."""
    return isinstance(value, int | float) and math.isfinite(value)


def _text(mask: Mapping[str, Any]) -> dict[str, Any]:
    return {"size": list(mask["size"]), "counts": mask["counts"].decode("ascii")}
