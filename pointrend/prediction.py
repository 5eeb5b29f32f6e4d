"""The result of segmenting one photo.

Coordinates are pixels of the upright photo, x to the right and y down, from the top left corner.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Instance:
    """One object that was found.

    Attributes:
        category_id: the id of its category in the model's dataset (COCO's ids: person is 1).
        category: the category's name.
        score: the model's confidence, in [0, 1].
        bbox: (x, y, width, height) in pixels, as COCO writes boxes.
        area: pixels in the mask.
        segmentation: the mask as COCO's compressed RLE, ``{"size": [height, width], "counts": str}``, or None
            where masks were not asked for.
    """

    category_id: int
    category: str
    score: float
    bbox: tuple[float, float, float, float]
    area: int
    segmentation: dict[str, Any] | None

    def mask(self) -> NDArray[np.bool_]:
        """Decode the mask: (height, width) bool of the whole photo.

        Raises:
            ValueError: the prediction was made without masks.
        """
        if self.segmentation is None:
            raise ValueError("This instance carries no mask: it was predicted with masks=none.")
        from pycocotools import mask as coco_mask

        decoded: NDArray[np.bool_] = coco_mask.decode(self.segmentation).astype(bool)
        return decoded

    def to_dict(self) -> dict[str, Any]:
        """The instance in COCO's words; a valid COCO result once ``image_id`` is added."""
        result: dict[str, Any] = {
            "category_id": self.category_id,
            "category": self.category,
            "score": round(self.score, 4),
            "bbox": [round(value, 2) for value in self.bbox],
            "area": self.area,
        }
        if self.segmentation is not None:
            result["segmentation"] = self.segmentation
        return result


@dataclass(frozen=True, slots=True)
class Prediction:
    """Everything that was found in one photo, best first.

    Attributes:
        width, height: size of the upright photo in pixels.
        instances: by descending score.
        model: name and version of the model that answered.
        timing_ms: milliseconds by stage: ``decode``, ``inference``, ``encode``.
    """

    width: int
    height: int
    instances: tuple[Instance, ...]
    model: dict[str, str]
    timing_ms: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The prediction as the served API answers it."""
        return {
            "model": self.model,
            "image": {"width": self.width, "height": self.height},
            "task": "instances",
            "instances": [instance.to_dict() for instance in self.instances],
            "timing_ms": {stage: round(value, 1) for stage, value in self.timing_ms.items()},
        }

    @classmethod
    def from_dict(cls, tree: dict[str, Any]) -> Prediction:
        """Read what :meth:`to_dict` wrote.

        Raises:
            KeyError: a part is missing.
        """
        return cls(
            width=tree["image"]["width"],
            height=tree["image"]["height"],
            instances=tuple(
                Instance(
                    category_id=item["category_id"],
                    category=item["category"],
                    score=item["score"],
                    bbox=tuple(item["bbox"]),
                    area=item["area"],
                    segmentation=item.get("segmentation"),
                )
                for item in tree["instances"]
            ),
            model=tree["model"],
            timing_ms=tree["timing_ms"],
        )
