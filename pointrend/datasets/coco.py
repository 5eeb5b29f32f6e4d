"""Files in COCO's format, read and checked in one place for training, evaluation and calibration.

Objects have polygons or run lengths, compressed or not. Beyond COCO's own keys an image may name its ``source`` and, in
``labelled_category_ids``, the categories whose every object is labelled in it; ``"all"`` or nothing means all. What is
harmless is repaired or left out, and counted; what is not refuses the file: :mod:`pointrend.datasets.findings` has the
rules. The whole file is checked, whichever categories are wanted, so that every command counts the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pycocotools import mask as coco_mask

from pointrend.datasets.coco_items import DatasetImage, ImageReader, lists_of, read_categories, whole
from pointrend.datasets.findings import Findings
from pointrend.datasets.label_file import read_json
from pointrend.datasets.segmentation import is_number, mask_of, to_rle
from pointrend.errors import DataError
from pointrend.structures.model_info import Category

__all__ = ["CocoFile", "DatasetImage", "DatasetObject", "naming"]

Box = tuple[float, float, float, float]
AGREES = 0.5  # least IoU of a box with its mask's: looser boxes are drawn by hand, worse ones are of something else


@dataclass(frozen=True, slots=True)
class DatasetObject:
    """One labelled object, or a region with a crowd of them.

    Attributes:
        id: its number in the file, as the file has it.
        image: the image that it is in.
        category_id: what it is.
        segmentation: the mask as COCO's compressed run lengths, decodable, with at least one pixel.
        crowd: a region with many objects that nobody has told apart, or the box of an object without a mask.
        bbox: (x, y, width, height) in pixels: the file's, or the mask's where that is missing or another.
        area: in pixels: the file's, or the mask's where that is missing.
    """

    id: Any
    image: DatasetImage
    category_id: int
    segmentation: dict[str, Any]
    crowd: bool
    bbox: Box
    area: float


@dataclass(frozen=True, slots=True)
class CocoFile:
    """A file in COCO's format.

    Attributes:
        path: of the file.
        images: in the order of the file.
        categories: in the order of the file.
        all_objects: those with a mask or a box, in the order of the file.
        findings: what was harmless.
    """

    path: Path
    images: tuple[DatasetImage, ...]
    categories: tuple[Category, ...]
    all_objects: tuple[DatasetObject, ...]
    findings: Findings = field(default_factory=Findings, compare=False)

    @classmethod
    def read(cls, path: Path, folder: Path) -> CocoFile:
        """Read a file whose images' ``file_name`` lie in ``folder``, and look at the header of each image.

        Raises:
            DataError: something is wrong that is not harmless. The message names the file and lists every fault by its
                rule, with the first places.
        """
        findings = Findings()
        tree = read_json(path, findings)
        categories = read_categories(lists_of(tree, "categories", findings), findings)
        reader = ImageReader(folder, findings)
        images = reader.read(lists_of(tree, "images", findings))
        annotations = lists_of(tree, "annotations", findings)
        known = frozenset(each.id for each in categories)
        reading = _Objects(images, reader.declared, known, findings)
        objects = reading.read(annotations)
        findings.refuse_fatal(path)
        for number, unplaced in reading.unplaced.items():
            # An object may be anywhere in it: of such a category not every object is labelled.
            labelled = images[number].labelled
            images[number] = replace(images[number], labelled=(known if labelled is None else labelled) - unplaced)
        if reading.unplaced:
            objects = tuple(replace(each, image=images[each.image.id]) for each in objects)
        return cls(path, tuple(images.values()), categories, objects, findings)

    def objects(self, category_ids: Collection[int]) -> Iterator[DatasetObject]:
        """The objects of some categories, in the order of the file."""
        return (item for item in self.all_objects if item.category_id in category_ids)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Put a file's path before the message of a DataError that is raised inside."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


class _Objects:
    """Reads the annotations of one file.

    Attributes:
        unplaced: by an image's id the categories of which it has an object without mask and box.
    """

    def __init__(
        self, images: Mapping[int, DatasetImage], declared: Collection[int], known: Collection[int], findings: Findings
    ) -> None:
        self._images = images
        self._declared = declared
        self._known = known
        self._findings = findings
        self._ids: set[str] = set()
        self._masks: set[tuple[int, int, bool, str]] = set()
        self.unplaced: dict[int, set[int]] = {}

    def read(self, items: list[dict[str, Any]]) -> tuple[DatasetObject, ...]:
        objects: list[DatasetObject] = []
        named: set[int] = set()
        crowds: set[int] = set()
        single: set[int] = set()
        for index, item in enumerate(items):
            place = f"annotation {item['id']!r:.40}" if "id" in item else f"annotations[{index}]"
            self._note_id(item.get("id"), place)
            number = whole(item.get("image_id"), f"{place}: image_id", self._findings)
            if number is None or number not in self._declared:
                problem = "belongs to no image" if number is not None else "must be a whole number"
                self._findings.add("no-image", f"{place}: image_id {item.get('image_id')!r:.100} {problem}")
                continue
            named.add(number)
            found = self._object(item, number, place)
            if found is not None:
                objects.append(found)
                if not found.crowd:
                    single.add(number)
                elif item.get("iscrowd"):
                    crowds.add(number)
        for number in self._images:
            if number not in named:
                self._findings.add("bare", f"image {number}")
            elif number in crowds and number not in single:
                self._findings.add("crowd-only", f"image {number}")
        return tuple(objects)

    def _object(self, item: Mapping[str, Any], number: int, place: str) -> DatasetObject | None:
        category = whole(item.get("category_id"), f"{place}: category_id", self._findings)
        if category is None:
            value = item.get("category_id")
            self._findings.add("category-id", f"{place}: category_id must be a whole number, not {value!r:.100}")
            return None
        if category not in self._known:
            self._findings.add("unknown-category", f"{place}: {category}")
            return None
        crowd = self._crowd(item.get("iscrowd", 0), place)
        image = self._images.get(number)
        if image is None or crowd is None:
            return None
        place = f"{place} of image {image.path.name}"
        mask = mask_of(item.get("segmentation"), image.height, image.width, place, self._findings)
        if mask is None:
            # There is an object, and nobody knows its outline: its box is as neutral as a crowd's.
            mask, crowd = _box_mask(item.get("bbox"), image), True
        if mask is None:
            if item.get("segmentation") in (None, [], {}):
                self.unplaced.setdefault(number, set()).add(category)
            return None
        key = (number, category, crowd, mask["counts"])
        if key in self._masks:
            self._findings.add("repeated", place)
            return None
        self._masks.add(key)
        area = item.get("area")
        if area is not None and (not is_number(area) or area < 0):
            self._findings.add("area", f"{place}: {area!r:.100}")
            area = None
        return DatasetObject(
            id=item.get("id"),
            image=image,
            category_id=category,
            segmentation=mask,
            crowd=crowd,
            bbox=self._bbox(item.get("bbox"), mask, place),
            area=float(coco_mask.area(mask) if area is None else area),
        )

    def _note_id(self, number: Any, place: str) -> None:
        if repr(number) in self._ids or number is None:
            self._findings.add("annotation-id", place)
        self._ids.add(repr(number))

    def _crowd(self, value: Any, place: str) -> bool | None:
        if type(value) is int and value in (0, 1):
            return bool(value)
        if value is None or isinstance(value, bool) or value in ("0", "1", 0.0, 1.0):
            self._findings.add("crowd-null", place)
            return value in (True, "1")
        self._findings.add("crowd", f"{place}: iscrowd must be 0 or 1, not {value!r:.100}")
        return None

    def _bbox(self, value: Any, mask: dict[str, Any], place: str) -> Box:
        x, y, width, height = map(float, coco_mask.toBbox(mask))
        own = (x, y, width, height)
        if value is None:
            return own
        if isinstance(value, list) and len(value) == 4 and all(map(is_number, value)):
            given = (float(value[0]), float(value[1]), float(value[2]), float(value[3]))
            if min(given[2:]) > 0 and coco_mask.iou([list(given)], [list(own)], [0])[0][0] >= AGREES:
                return given
        self._findings.add("bbox", f"{place}: {value!r:.100}")
        return own


def _box_mask(value: Any, image: DatasetImage) -> dict[str, Any] | None:
    """A box (x, y, width, height) as a mask; None where it is none, or has no pixel in the image."""
    if not isinstance(value, list) or len(value) != 4 or not all(map(is_number, value)) or min(value[2:]) <= 0:
        return None
    x0, y0 = max(value[0], 0), max(value[1], 0)
    x1, y1 = min(value[0] + value[2], image.width), min(value[1] + value[3], image.height)
    if x0 >= x1 or y0 >= y1:
        return None
    mask = to_rle([[x0, y0, x1, y0, x1, y1, x0, y1]], image.height, image.width)
    return mask if coco_mask.area(mask) else None
