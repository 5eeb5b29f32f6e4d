"""Boxes in COCO's results format, for ``pointrend predict --boxes``: whose image they are of, and the masks added.

The file is a list of results (``image_id``, ``bbox``; ``category_id`` and ``score`` where there are any), or an object
with such a list as ``annotations``, and ``images`` and ``categories`` as in a COCO data set. An ``image_id`` means the
image that ``images`` names by ``file_name``; without that list, the image whose name without its suffix it is: as
text, or as a number, with zeros before it and ``COCO_..._`` as COCO's own files have (139 is ``000000000139.jpg``).
"""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pointrend.errors import InvalidOption, PointRendError
from pointrend.exporters.instances import run_lengths
from pointrend.plain_text import escaped
from pointrend.predict.images import FoundImages, ImageBoxes, ImageFile
from pointrend.predict.names import split_suffix
from pointrend.structures.boxes import BoxList, BoxPrompt
from pointrend.structures.prediction import Prediction

ImageId = int | str
_ANY_NUMBER = BoxList(most=sys.maxsize)  # more than one request takes are asked for in several
_NUMBERED = re.compile(r"(?:COCO_\w+_)?0*(\d{1,15})", re.ASCII)


class BoxResultsError(PointRendError):
    """A file of boxes that cannot be read, or whose results cannot be told to images."""


@dataclass(frozen=True, slots=True)
class BoxResults:
    """The content of the file.

    Attributes:
        path: the file, for messages.
        results: as they are, in order.
        file_names: of the images by their ids; empty where the file does not tell.
        categories: names by ids; empty where the file does not tell.
    """

    path: Path
    results: Sequence[dict[str, Any]]
    file_names: Mapping[ImageId, str] = field(default_factory=dict)
    categories: Mapping[int, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> BoxResults:
        """Read the file.

        Raises:
            BoxResultsError: it cannot be read, or an entry is none; names the entry.
        """
        shown = escaped(str(path))
        try:
            tree = json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError) as error:
            raise BoxResultsError(f"--boxes: {shown} cannot be read as JSON: {error}.") from error
        if isinstance(tree, list):
            tree = {"annotations": tree}
        if not isinstance(tree, dict) or not isinstance(tree.get("annotations"), list):
            raise BoxResultsError(
                f"--boxes: {shown} must be a list of COCO results, or an object with such a list as annotations."
            )
        for index, result in enumerate(tree["annotations"]):
            if not isinstance(result, dict) or not _is_id(result.get("image_id")) or "bbox" not in result:
                raise BoxResultsError(
                    f"--boxes: result {index} of {shown} must have an image_id and a bbox, not {result!r:.100}."
                )
        return cls(
            path,
            tree["annotations"],
            _by_id(tree, "images", "file_name", shown),
            _by_id(tree, "categories", "name", shown),
        )

    def attach(self, found: FoundImages, known: Sequence[Mapping[str, Any]]) -> tuple[FoundImages, list[ImageId]]:
        """Give each image its boxes, and none where the file has none of it.

        Args:
            found: the images.
            known: the model's categories, ``{"id": ..., "name": ...}``. Of a box counts the category's name where the
                file tells it, otherwise its id; what the model does not know is left to it.

        Returns:
            the images, and the ids of those that the file has boxes of and that are not among them.

        Raises:
            BoxResultsError: an id means two images, or a box is none.
        """
        by_image: defaultdict[ImageId, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
        for index, result in enumerate(self.results):
            by_image[result["image_id"]].append((index, result))
        images, taken = [], set()
        for image, image_id in self._ids(found.images):
            results = tuple(by_image.get(image_id, ()))
            taken.add(image_id)
            prompts = self._prompts(results, image, known)
            images.append(replace(image, given=ImageBoxes(image_id, prompts, results)))
        return replace(found, images=tuple(images)), [each for each in by_image if each not in taken]

    def _ids(self, images: Sequence[ImageFile]) -> list[tuple[ImageFile, ImageId]]:
        """Every image with the id that the file has for it, or could have."""
        seen = {result["image_id"] for result in self.results}
        named = {name: image_id for image_id, name in self.file_names.items()}
        loose: defaultdict[str, list[ImageId]] = defaultdict(list)
        for image_id, name in self.file_names.items():
            loose[Path(name).name].append(image_id)
        ids: list[tuple[ImageFile, ImageId]] = []
        for image in images:
            by_name = loose.get(image.path.name, [])
            if image.file_name in named:
                ids.append((image, named[image.file_name]))
            elif len(by_name) == 1:
                ids.append((image, by_name[0]))
            elif self.file_names:
                ids.append((image, image.file_name))  # the file does not know it
            else:
                ids.append((image, _id_of_stem(image, seen)))
        first: dict[ImageId, ImageFile] = {}
        for image, image_id in ids:
            other = first.setdefault(image_id, image)
            if other is not image:
                raise BoxResultsError(
                    f"--boxes: image_id {image_id!r} fits {escaped(str(other.path))} and {escaped(str(image.path))}. "
                    f"Give {escaped(self.path.name)} a list `images` with each one's id and file_name."
                )
        return ids

    def _prompts(
        self, results: Iterable[tuple[int, dict[str, Any]]], image: ImageFile, known: Sequence[Mapping[str, Any]]
    ) -> tuple[BoxPrompt, ...]:
        names = {str(category["name"]).lower() for category in known}
        ids = {category["id"] for category in known}

        def category(result: Mapping[str, Any]) -> str | None:
            if self.categories:
                name = self.categories.get(result.get("category_id", -1), "")
                return name if name.lower() in names else None
            return str(result["category_id"]) if result.get("category_id") in ids else None

        boxes = [{"bbox": result["bbox"], "category": category(result)} for _, result in results]
        try:
            return _ANY_NUMBER.read("boxes", boxes)
        except InvalidOption as error:
            raise BoxResultsError(f"--boxes: {escaped(image.file_name)}: {error.message}") from error


def with_masks(given: ImageBoxes, prediction: Prediction, unnamed: int) -> list[tuple[int, dict[str, Any]]]:
    """An image's results with their masks, and the place of each in the file.

    What a result says stays; ``segmentation`` is its mask, and so is ``area`` where it has one. One without a score
    gets the mask's, and one without a category the model's, or ``unnamed``.
    """
    size = prediction.height, prediction.width
    masked = []
    for (index, result), instance in zip(given.results, prediction.instances, strict=True):
        own = {
            "category_id": unnamed if instance.category_id is None else instance.category_id,
            "score": round(instance.score, 4),
        }
        tree = {**own, **result, "segmentation": run_lengths(instance, size)}
        masked.append((index, {**tree, "area": instance.area} if "area" in result else tree))
    return masked


def _by_id(tree: Mapping[str, Any], key: str, wanted: str, shown: str) -> dict[Any, str]:
    items = tree.get(key) or []
    if not isinstance(items, list) or not all(
        isinstance(item, dict) and _is_id(item.get("id")) and isinstance(item.get(wanted), str) for item in items
    ):
        raise BoxResultsError(f"--boxes: {key} of {shown} must be a list of objects with id and {wanted}.")
    return {item["id"]: item[wanted] for item in items}


def _id_of_stem(image: ImageFile, seen: Iterable[ImageId]) -> ImageId:
    stem = split_suffix(image.path.name)[0]
    number = _NUMBERED.fullmatch(stem)
    if number is None or (stem in seen and int(number[1]) not in seen):
        return stem
    return int(number[1])


def _is_id(value: Any) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)
