"""Labelled photos to train on, read from a file in COCO's format.

Shapes: K categories to learn, numbered 0 to K - 1 in their order; H, W a photo's height and width in pixels.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from pointrend.datasets.folds import Fold
from pointrend.datasets.ground_truth import UNNAMED_SOURCE, read_json, to_rle
from pointrend.errors import DataError, RequestError
from pointrend.images.decode import ImageLimits, decode
from pointrend.masks.rle import decode_crop
from pointrend.structures.model_info import Category


@dataclass(frozen=True, slots=True)
class LabelledObject:
    """One object of a photo, or a crowd of them.

    Attributes:
        category: its index, 0 to K - 1.
        segmentation: its mask as COCO's compressed run lengths; masks are kept in no other form.
        crowd: whether it is a region with many objects that nobody has told apart.
    """

    category: int
    segmentation: dict[str, Any]
    crowd: bool

    def window(self) -> tuple[int, int, NDArray[np.bool_]]:
        """The mask in the smallest window that holds it: the window's left and top, and its (h, w) pixels."""
        return decode_crop(self.segmentation)


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo on disk and what is labelled in it.

    Attributes:
        path: its image file.
        width, height: W and H, upright.
        source: the collection that it comes from.
        labelled: for each of the K categories whether all its objects in this photo are labelled.
        objects: those of the K categories, crowds among them.
    """

    path: Path
    width: int
    height: int
    source: str
    labelled: tuple[bool, ...]
    objects: tuple[LabelledObject, ...]

    def read(self, scale: float = 1.0) -> Image.Image:
        """Decode the photo, upright and in RGB.

        Args:
            scale: the size at which the photo is wanted, as a fraction of its own. A JPEG file is decoded at a half,
                a quarter or an eighth where that is still enough, which takes less time.

        Returns:
            the photo, at its own size or smaller, but no smaller than asked for.

        Raises:
            DataError: the file cannot be read, is no image, or has another size than its annotation says.
        """
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise DataError(f"The photo {self.path} cannot be read: {error.strerror}.") from error
        try:
            with Image.open(io.BytesIO(data)) as image:
                if image.format != "JPEG":
                    return self._checked(Image.fromarray(decode(data, _LIMITS)), 1)
                full = image.width
                image.draft("RGB", (max(int(image.width * scale), 1), max(int(image.height * scale), 1)))
                upright = ImageOps.exif_transpose(image).convert("RGB")
                return self._checked(upright, round(full / image.width))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, RequestError) as error:
            raise DataError(f"The photo {self.path} is not an image that can be read: {error}") from error

    def _checked(self, image: Image.Image, reduction: int) -> Image.Image:
        # libjpeg rounds the reduced size up.
        expected = (-(-self.width // reduction), -(-self.height // reduction))
        if image.size != expected:
            raise DataError(
                f"The photo {self.path} is {image.width}x{image.height} pixels, "
                f"but its annotation says {self.width}x{self.height}."
            )
        return image


@dataclass(frozen=True, slots=True)
class Annotations:
    """All photos of a data set that say something of the categories to learn.

    Attributes:
        photos: in the order of the file.
        categories: the K categories.
    """

    photos: tuple[Photo, ...]
    categories: tuple[Category, ...]

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(self, index: int) -> Photo:
        return self.photos[index]

    def without(self, fold: Fold) -> Annotations:
        """What is left once a part of the photos is kept for judging.

        Raises:
            DataError: nothing is left.
        """
        kept = tuple(photo for photo in self.photos if not fold.holds(photo.path.name))
        if not any(photo.objects for photo in kept):
            raise DataError(f"Without its fold {fold.number + 1}/{fold.folds} the data has no object left.")
        return replace(self, photos=kept)

    def without_sources(self, names: Collection[str]) -> Annotations:
        """What is left without the photos of some collections.

        Raises:
            DataError: a name is that of no collection here, or nothing is left.
        """
        known = sorted({photo.source for photo in self.photos})
        for name in names:
            if name not in known:
                raise DataError(f"without names {name!r}, which is no source of the data; it has {', '.join(known)}.")
        kept = tuple(photo for photo in self.photos if photo.source not in names)
        if not any(photo.objects for photo in kept):
            raise DataError(f"Without the sources {', '.join(names)} the data has no object left.")
        return replace(self, photos=kept)

    @classmethod
    def read(cls, path: Path, images: Path, categories: Sequence[int] | None = None) -> Annotations:
        """Read a file in COCO's format.

        Objects have polygons or run lengths, compressed or not. An image may name its ``source`` and, in
        ``labelled_category_ids``, the ids of the categories whose objects are all labelled in it; ``"all"`` or
        nothing means every category. Objects of categories that are not to be learnt are background; a photo that
        neither has an object of those to be learnt nor labels one of them is left out.

        Args:
            path: the file.
            images: the folder that each image's ``file_name`` lies in.
            categories: ids of the categories to learn, in the order of the network's outputs; None for all that the
                file lists, in its order.

        Raises:
            DataError: the file or a photo is missing, or something in the file is malformed; the message says what,
                in which image or annotation.
        """
        tree = read_json(path)
        try:
            chosen = _categories(_items(tree, "categories"), categories)
            index = {category.id: number for number, category in enumerate(chosen)}
            entries = _entries(_items(tree, "images"))
            objects: dict[int, list[LabelledObject]] = {number: [] for number in entries}
            for item in _items(tree, "annotations"):
                number = _whole(item, "image_id", "annotation", item)
                if number not in entries:
                    raise DataError(f"annotation {item.get('id')}: image_id {number} belongs to no image.")
                if (category := _whole(item, "category_id", "annotation", item)) in index:
                    objects[number].append(_object(item, index[category], entries[number]))
            photos = tuple(_photo(item, images, chosen, tuple(objects[number])) for number, item in entries.items())
        except DataError as error:
            raise DataError(f"{path}: {error}") from error
        telling = tuple(photo for photo in photos if photo.objects or any(photo.labelled))
        if not any(photo.objects for photo in telling):
            raise DataError(f"{path}: annotations has no object of the categories {[item.id for item in chosen]}.")
        return cls(telling, chosen)


# The photos are the user's own: only their sides are limited, by what Pillow can resize.
_LIMITS = ImageLimits(max_bytes=1 << 30, max_pixels=1 << 28, max_side=1 << 16)


def _items(tree: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    value = tree.get(key)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise DataError(f"{key} must be a list of objects, not {value!r:.100}.")
    return value


def _whole(item: Mapping[str, Any], key: str, kind: str, named: Mapping[str, Any]) -> int:
    value = item.get(key)
    if type(value) is not int:
        name = named.get("file_name", named.get("id"))
        raise DataError(f"{kind} {name}: {key} must be a whole number, not {value!r:.100}.")
    return value


def _categories(items: Sequence[Mapping[str, Any]], ids: Sequence[int] | None) -> tuple[Category, ...]:
    names: dict[int, str] = {}
    for item in items:
        number, name = _whole(item, "id", "category", item), item.get("name")
        if not isinstance(name, str) or not name:
            raise DataError(f"category {number}: name must be text, not {name!r:.100}.")
        if number in names:
            raise DataError(f"categories has the id {number} twice.")
        names[number] = name
    chosen = tuple(names) if ids is None else tuple(ids)
    if not chosen:
        raise DataError("categories is empty: there is nothing to learn.")
    for number in chosen:
        if number not in names:
            raise DataError(f"there is no category with the id {number}; categories has {sorted(names)}.")
        if chosen.count(number) > 1:
            raise DataError(f"the category {number} is asked for twice.")
    return tuple(Category(number, names[number]) for number in chosen)


def _entries(items: Sequence[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """The images by their ids, their file names and sizes checked."""
    entries: dict[int, dict[str, Any]] = {}
    for item in items:
        name = item.get("file_name")
        if not isinstance(name, str) or not name:
            raise DataError(f"image {item.get('id')}: file_name must be text, not {name!r:.100}.")
        number = _whole(item, "id", "image", item)
        for key in ("width", "height"):
            if _whole(item, key, "image", item) < 1:
                raise DataError(f"image {name}: {key} must be at least 1, not {item[key]}.")
        if number in entries:
            raise DataError(f"image {name}: its id {number} is also that of {entries[number]['file_name']}.")
        entries[number] = item
    return entries


def _object(item: Mapping[str, Any], category: int, entry: Mapping[str, Any]) -> LabelledObject:
    crowd = item.get("iscrowd", 0)
    where = f"annotation {item.get('id')} of image {entry['file_name']}"
    if crowd not in (0, 1):
        raise DataError(f"{where}: iscrowd must be 0 or 1, not {crowd!r:.100}.")
    segmentation = item.get("segmentation")
    try:
        mask = to_rle(segmentation, entry["height"], entry["width"])
        if isinstance(segmentation, dict) and isinstance(segmentation.get("counts"), str):
            decode_crop(mask)  # the one form that is taken as it is: better a refusal here than in mid-training
    except (DataError, ValueError) as error:
        raise DataError(f"{where}: {error}") from error
    return LabelledObject(category, mask, bool(crowd))


def _photo(
    item: Mapping[str, Any], images: Path, categories: Sequence[Category], objects: tuple[LabelledObject, ...]
) -> Photo:
    name = item["file_name"]
    labelled = item.get("labelled_category_ids", "all")
    if labelled != "all" and not (isinstance(labelled, list) and all(type(number) is int for number in labelled)):
        raise DataError(f'image {name}: labelled_category_ids must be "all" or a list of ids, not {labelled!r:.100}.')
    path = images / name
    if not path.is_file():
        raise DataError(f"image {name}: there is no file {path}.")
    known = tuple(labelled == "all" or category.id in labelled for category in categories)
    return Photo(path, item["width"], item["height"], str(item.get("source", UNNAMED_SOURCE)), known, objects)
