"""What a labelled data set says: photos, their objects, and which categories each photo's source labels."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pycocotools import mask as coco_mask

from pointrend.errors import DataError, InvalidOption
from pointrend.structures.model_info import Category

UNNAMED_SOURCE = "unnamed"


@dataclass(frozen=True, slots=True)
class Photo:
    """One photo of a data set.

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
class TrueObject:
    """One labelled object, or a region with a crowd of them.

    Attributes:
        photo_id: of the photo that it is in.
        category_id: what it is.
        bbox: (x, y, width, height) in pixels.
        area: in pixels, as the file says it or else of the mask.
        segmentation: the mask as COCO's compressed RLE.
        crowd: a region with many objects of the category; finding them is neither asked for nor wrong.
    """

    photo_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    area: float
    segmentation: dict[str, Any]
    crowd: bool


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """Photos and their objects, of the categories that are judged.

    Attributes:
        photos: by ascending id.
        objects: those of judged categories, in photos that label their category.
        categories: the judged ones, in the model's order.
    """

    photos: tuple[Photo, ...]
    objects: tuple[TrueObject, ...]
    categories: tuple[Category, ...]

    @classmethod
    def read(cls, folder: str | Path, split: str, known: Sequence[Category]) -> GroundTruth:
        """Read ``instances_SPLIT.json``, in COCO's format, of a folder whose photos lie in ``images``.

        Objects have polygons or run lengths, compressed or not. An image may name its ``source`` and, in
        ``labelled_category_ids``, the categories that are labelled in it; ``"all"`` or nothing means all.

        Args:
            folder: of the data set.
            split: which part of it, such as ``val``.
            known: the model's categories. Those that the file has too, by their ids, are judged.

        Raises:
            DataError: the file is missing or malformed, a photo is missing, or no category is in common.
        """
        folder = Path(folder).expanduser()
        path = folder / f"instances_{split}.json"
        tree = read_json(path)
        try:
            categories = _common(_list(tree, "categories"), known)
            photos = tuple(sorted((_photo(item, folder / "images") for item in _list(tree, "images")), key=_photo_id))
            by_id = {photo.id: photo for photo in photos}
            if len(by_id) < len(photos):
                raise DataError("two images have the same id.")
            judged = {category.id for category in categories}
            objects = tuple(
                _object(item, by_id) for item in _list(tree, "annotations") if _is_judged(item, by_id, judged)
            )
        except DataError as error:
            raise DataError(f"{path}: {error}") from error
        if not photos:
            raise DataError(f"{path}: images is empty: there is nothing to judge on.")
        return cls(photos, objects, categories)

    def limited(self, limit: int | None) -> GroundTruth:
        """The ground truth of so many photos only, taken evenly from the whole; None takes all.

        Raises:
            InvalidOption: a limit below 1.
        """
        if limit is None or limit >= len(self.photos):
            return self
        if limit < 1:
            raise InvalidOption(f"limit must be at least 1, not {limit}.", field="limit", limit=1, value=limit)
        photos = tuple(self.photos[index * len(self.photos) // limit] for index in range(limit))
        kept = {photo.id for photo in photos}
        return replace(self, photos=photos, objects=tuple(item for item in self.objects if item.photo_id in kept))

    def sources(self) -> tuple[str, ...]:
        """The photos' sources, in alphabetic order."""
        return tuple(sorted({photo.source for photo in self.photos}))


def _photo_id(photo: Photo) -> int:
    return photo.id


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


def _list(tree: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    value = tree.get(key)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise DataError(f"{key} must be a list of objects, not {value!r:.100}.")
    return value


def _common(items: Sequence[Mapping[str, Any]], known: Sequence[Category]) -> tuple[Category, ...]:
    names = {item.get("id"): item.get("name") for item in items}
    common = tuple(category for category in known if category.id in names)
    for category in common:
        if names[category.id] != category.name:
            raise DataError(
                f"category {category.id} is {names[category.id]!r} here and {category.name!r} in the model: "
                "categories are matched by their ids, so these must mean the same and have the same name."
            )
    if not common:
        raise DataError(
            f"no category is in common: categories has the ids {sorted(map(str, names))}, "
            f"the model {sorted(category.id for category in known)}."
        )
    return common


def _photo(item: Mapping[str, Any], images: Path) -> Photo:
    name, labelled = item.get("file_name"), item.get("labelled_category_ids", "all")
    numbers = [item.get(key) for key in ("id", "width", "height")]
    if not isinstance(name, str) or not all(type(number) is int for number in numbers):
        raise DataError(f"an image needs id, file_name, width and height, not {dict(item)!r:.200}.")
    if labelled != "all" and not (isinstance(labelled, list) and all(type(number) is int for number in labelled)):
        raise DataError(f'labelled_category_ids of image {name} must be "all" or a list of ids, not {labelled!r:.100}.')
    path = images / name
    if not path.is_file():
        raise DataError(f"the photo {path} is missing.")
    number, width, height = (int(value) for value in numbers if value is not None)
    source = item.get("source", UNNAMED_SOURCE)
    return Photo(number, path, width, height, str(source), None if labelled == "all" else frozenset(labelled))


def _is_judged(item: Mapping[str, Any], photos: Mapping[int, Photo], judged: set[int]) -> bool:
    number = item.get("image_id")
    photo = photos.get(number) if type(number) is int else None
    if photo is None:
        raise DataError(f"annotation {item.get('id')} has image_id {number!r}, which no image has.")
    category = item.get("category_id")
    if type(category) is not int:
        raise DataError(f"annotation {item.get('id')} has category_id {category!r}; it must be a whole number.")
    return category in judged and photo.labels(category)


def _object(item: Mapping[str, Any], photos: Mapping[int, Photo]) -> TrueObject:
    photo = photos[item["image_id"]]
    try:
        mask = to_rle(item.get("segmentation"), photo.height, photo.width)
    except DataError as error:
        raise DataError(f"annotation {item.get('id')}: {error}") from error
    bbox = item.get("bbox") or coco_mask.toBbox(mask).tolist()
    area = item.get("area", float(coco_mask.area(mask)))
    if not isinstance(bbox, list) or len(bbox) != 4 or not all(map(_is_number, bbox)):
        raise DataError(f"annotation {item.get('id')}: bbox must be x, y, width and height, not {bbox!r:.100}.")
    if not _is_number(area):
        raise DataError(f"annotation {item.get('id')}: area must be a number of pixels, not {area!r:.100}.")
    x, y, width, height = map(float, bbox)
    crowd = bool(item.get("iscrowd", 0))
    return TrueObject(photo.id, item["category_id"], (x, y, width, height), float(area), mask, crowd)


def to_rle(segmentation: Any, height: int, width: int) -> dict[str, Any]:
    """Turn any of COCO's ways to write a mask into compressed run lengths.

    Args:
        segmentation: a list of polygons, each x, y, x, y, ... in pixels, or ``{"size": [height, width], "counts":
            ...}`` with a list of run lengths or compressed ones.
        height, width: the photo's size in pixels.

    Returns:
        ``{"size": [height, width], "counts": str}``.

    Raises:
        DataError: it is none of these, or of another size than the photo.
    """
    if isinstance(segmentation, dict):
        if segmentation.get("size") != [height, width]:
            raise DataError(f"segmentation has size {segmentation.get('size')}, the photo [{height}, {width}].")
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
    return isinstance(value, list) and len(value) >= 6 and len(value) % 2 == 0 and all(map(_is_number, value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _text(mask: Mapping[str, Any]) -> dict[str, Any]:
    return {"size": list(mask["size"]), "counts": mask["counts"].decode("ascii")}
