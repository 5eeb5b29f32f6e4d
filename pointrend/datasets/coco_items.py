"""The entries of a file in COCO's format: categories and images, each checked, with every fault noted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pointrend.datasets.findings import Findings
from pointrend.datasets.image_file import LIMITS, inside, read_header, tidy_name
from pointrend.errors import DataError
from pointrend.structures.model_info import Category

UNNAMED_SOURCE = "unnamed"
_DIGITS = re.compile(r"\s*-?\d{1,15}(\.0*)?\s*")


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


def lists_of(tree: Mapping[str, Any], key: str, findings: Findings) -> list[dict[str, Any]]:
    """One of the file's lists; entries that are no objects are noted."""
    value = tree.get(key)
    if not isinstance(value, list):
        findings.add("list", f"{key} must be a list of objects, not {value!r:.100}")
        return []
    bad = [index for index, item in enumerate(value) if not isinstance(item, dict)]
    for index in bad:
        findings.add("list", f"{key} must be a list of objects; {key}[{index}] is {value[index]!r:.100}")
    return [item for item in value if isinstance(item, dict)]


def whole(value: Any, place: str, findings: Findings) -> int | None:
    """A whole number, also one written as text or with a decimal point; None where it is none."""
    if type(value) is int:
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        findings.add("id", place)
        return int(value)
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        findings.add("id", place)
        return int(float(value))
    return None


def read_categories(items: list[dict[str, Any]], findings: Findings) -> tuple[Category, ...]:
    """The categories that can be used, in their order."""
    names: dict[int, str] = {}
    for index, item in enumerate(items):
        name = item.get("name")
        number = whole(item.get("id"), f"categories[{index}].id", findings)
        if number is None:
            findings.add("category", f"categories[{index}]: id must be a whole number, not {item.get('id')!r:.100}")
        elif not isinstance(name, str) or not name:
            findings.add("category", f"category {number}: name must be text, not {name!r:.100}")
        elif names.setdefault(number, name) != name:
            findings.add("category-twice", f"categories has the id {number} twice: {names[number]}, {name}")
    return tuple(Category(number, name) for number, name in names.items())


class ImageReader:
    """Reads the images of one file.

    Args:
        folder: the one that each ``file_name`` lies in.
        findings: receives what is wrong.

    Attributes:
        declared: every id met, also of images that cannot be used: an annotation of one is no second fault.
    """

    def __init__(self, folder: Path, findings: Findings) -> None:
        self.declared: set[int] = set()
        self._folder = folder
        self._findings = findings
        self._entries: dict[int, dict[str, Any]] = {}
        self._headers: set[Path] = set()

    def read(self, items: list[dict[str, Any]]) -> dict[int, DatasetImage]:
        """The images that can be used, by id."""
        images: dict[int, DatasetImage] = {}
        for index, item in enumerate(items):
            number = whole(item.get("id"), f"images[{index}].id", self._findings)
            if number is None:
                self._findings.add("image", f"images[{index}]: id must be a whole number, not {item.get('id')!r:.100}")
            elif number not in self._entries:
                self._entries[number] = item
                self.declared.add(number)
                image = self._image(number, item)
                if image is not None:
                    images[number] = image
            elif self._entries[number] == item:
                self._findings.add("image-repeated", f"image {number}")
            else:
                first = self._entries[number].get("file_name")
                self._findings.add(
                    "image-twice", f"image {item.get('file_name')}: its id {number} is also that of {first}"
                )
        if not items and "list" not in self._findings.counts:
            self._findings.add("no-images", "images")
        return images

    def _image(self, number: int, item: Mapping[str, Any]) -> DatasetImage | None:
        name, labelled = item.get("file_name"), item.get("labelled_category_ids", "all")
        if not isinstance(name, str) or not name:
            self._findings.add("image", f"image {number}: file_name must be text, not {name!r:.100}")
            return None
        place = f"image {name}"
        sides = []
        for key in ("width", "height"):
            side = whole(item.get(key), f"{place}: {key}", self._findings)
            if side is None or not 1 <= side <= LIMITS.max_side:
                wanted = f"a whole number from 1 to {LIMITS.max_side}"
                self._findings.add("image", f"{place}: {key} must be {wanted}, not {item.get(key)!r:.100}")
            else:
                sides.append(side)
        if labelled != "all" and not (isinstance(labelled, list) and all(type(each) is int for each in labelled)):
            self._findings.add(
                "labelled", f'{place}: labelled_category_ids must be "all" or a list of ids, not {labelled!r:.100}'
            )
            return None
        path = self._path(name, place)
        if path is None or len(sides) < 2:
            return None
        self._check(path, sides[0], sides[1], place)
        source = str(item.get("source", UNNAMED_SOURCE))
        ids = None if labelled == "all" else frozenset(labelled)
        return DatasetImage(number, path, sides[0], sides[1], source, labelled=ids)

    def _path(self, name: str, place: str) -> Path | None:
        written = inside(self._folder, name)
        path = written if _is_file(written) else inside(self._folder, tidy_name(name))
        if path is None:
            self._findings.add("outside-folder", place)
            return None
        if path != written:
            self._findings.add("file-name", place)
        if not _is_file(path):
            self._findings.add("no-file", f"{place}: there is no file {path}")
            return None
        return path

    def _check(self, path: Path, width: int, height: int, place: str) -> None:
        if path in self._headers:
            self._findings.add("file-shared", place)
        self._headers.add(path)
        try:
            header = read_header(path)
        except DataError as error:
            self._findings.add("unreadable", f"{place}: {error}")
            return
        if (header.width, header.height) != (width, height):
            swapped = header.orientation >= 5 and (header.height, header.width) == (width, height)
            self._findings.add(
                "turned" if swapped else "size",
                f"{place} is {header.width}x{header.height} pixels upright, labelled as {width}x{height}",
            )
        elif header.orientation in (2, 3, 4) or (header.orientation >= 5 and width == height):
            self._findings.add("mirrored", place)


def _is_file(path: Path | None) -> bool:
    try:
        return path is not None and path.is_file()
    except (OSError, ValueError):  # a name too long
        return False
