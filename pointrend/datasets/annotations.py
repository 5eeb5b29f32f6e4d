"""Labelled images to train on, read from a file in COCO's format.

Shapes: K categories to learn, numbered 0 to K - 1 in their order; H, W an image's height and width in pixels.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pointrend.datasets.coco import CocoFile, DatasetImage, naming
from pointrend.datasets.findings import Findings
from pointrend.datasets.folds import Fold
from pointrend.datasets.image_file import LIMITS
from pointrend.errors import DataError, RequestError
from pointrend.images.convert import to_picture
from pointrend.images.decode import decode, open_image
from pointrend.masks.rle import decode_crop
from pointrend.structures.model_info import Category


@dataclass(frozen=True, slots=True)
class LabelledObject:
    """One object of an image, or a crowd of them.

    Attributes:
        category: its index, 0 to K - 1.
        segmentation: its mask as COCO's compressed run lengths; masks are kept in no other form.
        crowd: whether it is neutral: a region with many objects that nobody has told apart, or an object's box whose
            mask is missing.
    """

    category: int
    segmentation: dict[str, Any]
    crowd: bool

    def window(self) -> tuple[int, int, NDArray[np.bool_]]:
        """The mask in the smallest window that holds it: the window's left and top, and its (h, w) pixels."""
        return decode_crop(self.segmentation)


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """An image on disk and what is labelled in it.

    Attributes:
        path: its image file.
        width, height: W and H, upright.
        source: the collection that it comes from.
        labelled: for each of the K categories whether all its objects in this image are labelled.
        objects: those of the K categories, crowds among them.
    """

    path: Path
    width: int
    height: int
    source: str
    labelled: tuple[bool, ...]
    objects: tuple[LabelledObject, ...]

    @property
    def has_object(self) -> bool:
        """Whether there is an object to learn, no crowd."""
        return any(not item.crowd for item in self.objects)

    def read(self, scale: float = 1.0) -> Image.Image:
        """Decode the image, upright and in sRGB: at its own size to the pixels that a served model sees.

        Args:
            scale: the size at which the image is wanted, as a fraction of its own. A JPEG file is decoded at a half,
                a quarter or an eighth where that is still enough, which takes less time.

        Returns:
            the image, at its own size or smaller, but no smaller than asked for.

        Raises:
            DataError: the file cannot be read, is no image, or has another size than its annotation says.
        """
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise DataError(f"The image {self.path} cannot be read: {error.strerror}.") from error
        try:
            with open_image(data, LIMITS) as image:
                if image.format != "JPEG":
                    return self._checked(Image.fromarray(decode(data, LIMITS)), 1)
                full = image.width
                image.draft("RGB", (max(int(image.width * scale), 1), max(int(image.height * scale), 1)))
                return self._checked(to_picture(image), round(full / image.width))
        except (OSError, ValueError, SyntaxError, RequestError) as error:
            raise DataError(f"The image {self.path} is not an image that can be read: {error}") from error

    def _checked(self, image: Image.Image, reduction: int) -> Image.Image:
        # libjpeg rounds the reduced size up.
        expected = (-(-self.width // reduction), -(-self.height // reduction))
        if image.size != expected:
            raise DataError(
                f"The image {self.path} is {image.width}x{image.height} pixels, "
                f"but its annotation says {self.width}x{self.height}."
            )
        return image


@dataclass(frozen=True, slots=True)
class Annotations:
    """All images of a data set that say something of the categories to learn.

    Attributes:
        images: in the order of the file.
        categories: the K categories.
        findings: what was harmless in the whole file.
    """

    images: tuple[LabelledImage, ...]
    categories: tuple[Category, ...]
    findings: Findings = field(default_factory=Findings, compare=False)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> LabelledImage:
        return self.images[index]

    def without(self, fold: Fold) -> Annotations:
        """What is left once a part of the images is kept for judging.

        Raises:
            DataError: nothing is left.
        """
        kept = tuple(image for image in self.images if not fold.holds(image.path.name))
        if not any(image.has_object for image in kept):
            raise DataError(f"Without its fold {fold.number + 1}/{fold.folds} the data has no object left.")
        return replace(self, images=kept)

    def without_sources(self, names: Collection[str]) -> Annotations:
        """What is left without the images of some collections.

        Raises:
            DataError: a name is that of no collection here, or nothing is left.
        """
        known = sorted({image.source for image in self.images})
        for name in names:
            if name not in known:
                raise DataError(f"without names {name!r}, which is not a source of the data: {', '.join(known)}.")
        kept = tuple(image for image in self.images if image.source not in names)
        if not any(image.has_object for image in kept):
            raise DataError(f"Without the sources {', '.join(names)} the data has no object left.")
        return replace(self, images=kept)

    @classmethod
    def read(cls, path: Path, folder: Path, categories: Sequence[int] | None = None) -> Annotations:
        """Read a file in COCO's format.

        Objects have polygons or run lengths, compressed or not. An image may name its ``source`` and, in
        ``labelled_category_ids``, the ids of the categories whose objects are all labelled in it; ``"all"`` or
        nothing means every category. Objects of categories that are not to be learnt are background; an image that
        neither has an object of those to be learnt nor labels one of them is left out.

        Args:
            path: the file.
            folder: the one that each image's ``file_name`` lies in.
            categories: ids of the categories to learn, in the order of the network's outputs; None for all that the
                file lists, in its order.

        Raises:
            DataError: the file or an image is missing, or something in the file is malformed; the message says what,
                in which image or annotation.
        """
        file = CocoFile.read(path, folder)
        with naming(path):
            chosen = _chosen(file.categories, categories)
        index = {category.id: number for number, category in enumerate(chosen)}
        objects: dict[int, list[LabelledObject]] = {entry.id: [] for entry in file.images}
        for item in file.objects(index):
            objects[item.image.id].append(LabelledObject(index[item.category_id], item.segmentation, item.crowd))
        images = tuple(_labelled(entry, chosen, tuple(objects[entry.id])) for entry in file.images)
        telling = tuple(image for image in images if image.objects or any(image.labelled))
        if not any(image.has_object for image in telling):
            left = "".join(f"\n  {line}" for line in file.findings.lines(fatal=False))
            raise DataError(
                f"{path}: annotations has no object with a mask of the categories {[item.id for item in chosen]}.{left}"
            )
        return cls(telling, chosen, file.findings)


def _chosen(categories: Sequence[Category], ids: Sequence[int] | None) -> tuple[Category, ...]:
    by_id = {category.id: category for category in categories}
    chosen = tuple(by_id) if ids is None else tuple(ids)
    if not chosen:
        raise DataError("categories is empty: there is nothing to learn.")
    for number in chosen:
        if number not in by_id:
            raise DataError(f"there is no category with the id {number}; categories has {sorted(by_id)}.")
        if chosen.count(number) > 1:
            raise DataError(f"the category {number} is listed twice.")
    return tuple(by_id[number] for number in chosen)


def _labelled(
    image: DatasetImage, categories: Sequence[Category], objects: tuple[LabelledObject, ...]
) -> LabelledImage:
    return LabelledImage(
        path=image.path,
        width=image.width,
        height=image.height,
        source=image.source,
        labelled=tuple(image.labels(category.id) for category in categories),
        objects=objects,
    )
