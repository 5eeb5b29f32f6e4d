"""Boxes that a caller gives instead of having objects detected: each gets one mask.

>>> OPTION.read("boxes", "10,20,100,200")
(BoxPrompt(x=10.0, y=20.0, width=100.0, height=200.0, category=None),)
>>> OPTION.read("boxes", [{"bbox": [10, 20, 100, 200], "category": "person"}])[0].category
'person'
"""

from __future__ import annotations

import json
import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pointrend.errors import InvalidOption
from pointrend.structures.option_kinds import Schema, shown

MAX_BOXES = 100
MIN_SIDE = 0.01  # pixels: at a large image's far end float32 still tells a box's two sides apart


class BoxPrompt(NamedTuple):
    """One box, as COCO writes it.

    Attributes:
        x, y: its left and top in pixels of the upright image.
        width, height: in pixels, at least :data:`MIN_SIDE`.
        category: name or id of what it holds; None leaves that to the model.
    """

    x: float
    y: float
    width: float
    height: float
    category: str | None = None


@dataclass(frozen=True, slots=True)
class BoxList:
    """The option's kind: at most ``most`` boxes, as JSON or its text, or as plain numbers, four a box."""

    most: int = MAX_BOXES

    def read(self, name: str, value: Any) -> tuple[BoxPrompt, ...]:
        """The boxes; an array (N, 4) does as well, and so do other detectors' results (:func:`detector_corners`).

        Of an object ``bbox`` counts, and ``category_id`` or ``category``: a COCO result may be sent as it is.

        Raises:
            InvalidOption: what is no box is told by its index, as is what it must be.
        """
        items = _items(name, value)
        if len(items) > self.most:
            raise InvalidOption(
                f"{name} has {len(items)} boxes; at most {self.most} are read: send the rest in another request.",
                field=name,
                limit=self.most,
                value=len(items),
            )
        return tuple(_box(f"{name}[{index}]", item) for index, item in enumerate(items))

    def schema(self) -> Schema:
        """See :class:`~pointrend.structures.option_kinds.OptionKind`."""
        box = {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4}
        named = {
            "type": "object",
            "properties": {
                "bbox": box,
                "category": {"type": ["string", "null"]},
                "category_id": {"type": ["integer", "null"]},
            },
            "required": ["bbox"],
        }
        return {
            "oneOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "maxItems": self.most, "items": {"oneOf": [box, named]}},
            ]
        }

    def values(self) -> str:
        """See :class:`~pointrend.structures.option_kinds.OptionKind`."""
        return f'at most {self.most}: `[x, y, width, height]` or `{{"bbox": [...], "category": ...}}` each'


OPTION = BoxList()


def detector_corners(value: Any) -> list[list[float]] | None:
    """The corners x0, y0, x1, y1 of each box that another library's detector has found; None of anything else.

    Args:
        value: ``supervision.Detections`` and what else has corners ``xyxy``; a result of ultralytics', whose ``boxes``
            have them; or a torchvision detector's dictionary, with a tensor of corners as ``boxes``.
    """
    if isinstance(value, Mapping):
        corners = value.get("boxes")
    elif isinstance(value, str | list | tuple):
        return None
    else:
        corners = getattr(getattr(value, "boxes", value), "xyxy", None)
    if corners is None or not hasattr(corners, "tolist"):  # JSON has no arrays
        return None
    found: list[list[float]] = corners.tolist()
    return found


def to_text(boxes: Sequence[BoxPrompt]) -> str:
    """Boxes as a form field or a header spells them, as short as it goes; :meth:`BoxList.read` reads it."""
    if not boxes:
        return "[]"
    if all(box.category is None for box in boxes):
        return ",".join(f"{value:.9g}" for box in boxes for value in box[:4])
    return json.dumps([_tree(box) for box in boxes], separators=(",", ":"))


def check_inside(boxes: Sequence[BoxPrompt], width: int, height: int) -> list[tuple[float, float, float, float]]:
    """Clip boxes to their image: detectors' and trackers' boxes reach beyond it.

    Args:
        boxes: of one image.
        width, height: the image's, upright, in pixels.

    Returns:
        (x0, y0, x1, y1) of each.

    Raises:
        InvalidOption: less than :data:`MIN_SIDE` of a box's width or height lies in the image.
    """
    corners = []
    for index, box in enumerate(boxes):
        x0, x1 = max(box.x, 0.0), min(box.x + box.width, float(width))
        y0, y1 = max(box.y, 0.0), min(box.y + box.height, float(height))
        if x1 - x0 < MIN_SIDE / 2 or y1 - y0 < MIN_SIDE / 2:
            raise InvalidOption(
                f"boxes[{index}] is {list(box[:4])}, outside the image of {width}x{height} pixels: send x, y, width "
                "and height in pixels of the upright image, as results have them.",
                field=f"boxes[{index}]",
                limit=[width, height],
                value=list(box[:4]),
            )
        corners.append((x0, y0, x1, y1))
    return corners


def _items(name: str, value: Any) -> list[Any]:
    """One entry a box."""
    found = detector_corners(value)
    if found is not None:
        return [[x0, y0, x1 - x0, y1 - y0] for x0, y0, x1, y1 in found]
    tree = _plain(_parsed(name, value) if isinstance(value, str) else value)
    items = [tree] if isinstance(tree, Mapping) else tree
    if not isinstance(items, list | tuple):
        raise InvalidOption(
            f"{name} must be a list of boxes, each [x, y, width, height], not {str(shown(value))!r}.",
            field=name,
            value=shown(value),
        )
    if isinstance(items, BoxPrompt):
        return [items]
    if items and all(_is_number(item) for item in items):
        if len(items) % 4:
            raise InvalidOption(
                f"{name} has {len(items)} numbers; a box has four: x, y, width, height.",
                field=name,
                limit=4,
                value=len(items),
            )
        return [items[start : start + 4] for start in range(0, len(items), 4)]
    return list(items)


def _parsed(name: str, text: str) -> Any:
    """JSON, or what becomes a list of JSON in brackets: plain numbers, or the joined values of a repeated field."""
    for candidate in (text, f"[{text}]"):
        try:
            if text.strip():
                return json.loads(candidate)
        except (ValueError, RecursionError):
            continue
    raise InvalidOption(
        f"{name} must be JSON, such as [[10, 20, 100, 200]], or numbers, four a box, not {str(shown(text))!r}. "
        "Send [] for no boxes; omit it to have objects detected.",
        field=name,
        value=shown(text),
    )


def _box(place: str, item: Any) -> BoxPrompt:
    item = _plain(item)
    if isinstance(item, BoxPrompt):
        bbox, category = _plain(list(item[:4])), item.category
    elif isinstance(item, Mapping):
        bbox, category = _plain(item.get("bbox")), _category(place, item)
    else:
        bbox, category = item, None
    if not isinstance(bbox, list | tuple) or len(bbox) != 4 or not all(_is_number(value) for value in bbox):
        raise InvalidOption(
            f"{place} must be four numbers, x, y, width and height, not {str(shown(item))!r}.",
            field=place,
            limit=4,
            value=shown(item),
        )
    x, y, width, height = (_float(value) for value in bbox)
    if not all(map(math.isfinite, (x, y, width, height))):
        raise InvalidOption(
            f"{place} must be finite numbers, not {list(map(shown, bbox))}.", field=place, value=list(map(shown, bbox))
        )
    if width < MIN_SIDE or height < MIN_SIDE:
        raise InvalidOption(
            f"{place} must have a width and a height of at least {MIN_SIDE:g} pixels, not {width:g} and {height:g}: "
            "send [x, y, width, height], not two corners.",
            field=place,
            limit=MIN_SIDE,
            value=[x, y, width, height],
        )
    return BoxPrompt(x, y, width, height, category)


def _category(place: str, item: Mapping[Any, Any]) -> str | None:
    """The id where one is given, as COCO has it; otherwise the name; None where both are left out or null."""
    given = item.get("category") if item.get("category_id") is None else item["category_id"]
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, str | numbers.Integral) or not str(given).strip():
        raise InvalidOption(
            f"{place} has the category {str(shown(given))!r}; it must be a name or an id. Omit it to leave it to the "
            "model.",
            field=place,
            value=shown(given),
        )
    return str(given).strip()


def _tree(box: BoxPrompt) -> dict[str, Any]:
    tree: dict[str, Any] = {"bbox": [float(f"{value:.9g}") for value in box[:4]]}
    return tree if box.category is None else {**tree, "category": box.category}


def _plain(value: Any) -> Any:
    """Lists of an array's numbers."""
    return value.tolist() if hasattr(value, "tolist") else value


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf
