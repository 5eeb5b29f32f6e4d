"""What a labelled data set says to judge a model by: images, their objects, and which categories each source labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pointrend.datasets.coco import CocoFile, DatasetImage, DatasetObject, naming
from pointrend.datasets.findings import Findings
from pointrend.errors import DataError, InvalidOption
from pointrend.structures.model_info import Category


@dataclass(frozen=True, slots=True)
class TrueObject:
    """One labelled object, or a region with a crowd of them.

    Attributes:
        image_id: of the image that it is in.
        category_id: what it is.
        bbox: (x, y, width, height) in pixels.
        area: in pixels, as the file says it or else of the mask.
        segmentation: the mask as COCO's compressed RLE.
        crowd: a region with many objects of the category; finding them is neither asked for nor wrong.
    """

    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    area: float
    segmentation: dict[str, Any]
    crowd: bool


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """Images and their objects, of the categories that are judged.

    Attributes:
        images: by ascending id.
        objects: those of judged categories, in images that label their category.
        categories: the judged ones, in the model's order.
        findings: what was harmless in the whole file.
    """

    images: tuple[DatasetImage, ...]
    objects: tuple[TrueObject, ...]
    categories: tuple[Category, ...]
    findings: Findings = field(default_factory=Findings, compare=False)

    @classmethod
    def read(cls, folder: str | Path, split: str, known: Sequence[Category]) -> GroundTruth:
        """Read ``instances_SPLIT.json``, in COCO's format, of a folder whose images lie in ``images``.

        Objects have polygons or run lengths, compressed or not. An image may name its ``source`` and, in
        ``labelled_category_ids``, the categories that are labelled in it; ``"all"`` or nothing means all.

        Args:
            folder: of the data set.
            split: which part of it, such as ``val``.
            known: the model's categories. Those that the file has too, by their ids, are judged.

        Raises:
            DataError: the file is missing or malformed, an image is missing, or no category is in common.
        """
        folder = Path(folder).expanduser()
        path = folder / f"instances_{split}.json"
        file = CocoFile.read(path, folder / "images")
        with naming(path):
            categories = _common(file.categories, known)
        found = [item for item in file.objects({each.id for each in categories}) if item.image.labels(item.category_id)]
        objects = tuple(map(_true_object, found))
        return cls(tuple(sorted(file.images, key=lambda image: image.id)), objects, categories, file.findings)

    def limited(self, limit: int | None) -> GroundTruth:
        """The ground truth of so many images only, taken evenly from the whole; None takes all.

        Raises:
            InvalidOption: a limit below 1.
        """
        if limit is None or limit >= len(self.images):
            return self
        if limit < 1:
            raise InvalidOption(f"limit must be at least 1, not {limit}.", field="limit", limit=1, value=limit)
        images = tuple(self.images[index * len(self.images) // limit] for index in range(limit))
        kept = {image.id for image in images}
        return replace(self, images=images, objects=tuple(item for item in self.objects if item.image_id in kept))

    def sources(self) -> tuple[str, ...]:
        """The images' sources, in alphabetic order."""
        return tuple(sorted({image.source for image in self.images}))


def _common(categories: Sequence[Category], known: Sequence[Category]) -> tuple[Category, ...]:
    names = {category.id: category.name for category in categories}
    common = tuple(category for category in known if category.id in names)
    for category in common:
        if names[category.id] != category.name:
            raise DataError(
                f"category {category.id} is {names[category.id]!r:.100} here and {category.name!r:.100} in the model: "
                "categories are matched by their ids, so these must mean the same and have the same name."
            )
    if not common:
        raise DataError(
            f"no category is in common: categories has the ids {sorted(names)}, "
            f"the model {sorted(category.id for category in known)}."
        )
    return common


def _true_object(item: DatasetObject) -> TrueObject:
    return TrueObject(
        image_id=item.image.id,
        category_id=item.category_id,
        bbox=item.bbox,
        area=item.area,
        segmentation=item.segmentation,
        crowd=item.crowd,
    )
