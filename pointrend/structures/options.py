"""What a caller may ask for, as one table: it validates, it documents, and the server and the page both read it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypedDict

from pointrend.errors import InvalidOption
from pointrend.structures.boxes import BoxList, BoxPrompt
from pointrend.structures.option_kinds import Boolean, Choice, Integer, NamesOrIds, Number, OptionKind
from pointrend.suggestions import suggest

FULL_REFINEMENT = 4
SMALLEST_TILE, LARGEST_TILE = 256, 4096  # pixels a side
OPTIONS_HEADER = "X-PointRend-Options"
"""Carries options beside a body that is the image itself, URL-encoded: ``score_threshold=0.7&masks=polygon``."""


def _option(kind: OptionKind, default: Any, meaning: str) -> Any:
    return dataclasses.field(default=default, metadata={"kind": kind, "meaning": meaning})


@dataclass(frozen=True, slots=True)
class Options:
    """Options of one request; :meth:`parse` reads them from text or JSON. Each attribute is told by :func:`table`.

    Raises:
        InvalidOption: a value is out of range, or ``boxes`` stands beside an option that chooses among detections.
    """

    task: str = _option(
        Choice(("instances", "detection", "semantic")),
        "instances",
        "objects with masks, boxes only, or one mask per category (the highest score wins a pixel)",
    )
    score_threshold: float = _option(
        Number(0.0, 1.0), 0.5, "minimum score of a detection; most models report none below 0.05"
    )
    max_detections: int = _option(Integer(1, 100), 100, "keep the n best detections, after `categories` is applied")
    categories: tuple[str, ...] | None = _option(
        NamesOrIds(),
        None,
        "categories to keep, by name or id, or `all`; by default those that the model's description lists as "
        "`reliable`, all if it lists none",
    )
    masks: str = _option(
        Choice(("rle", "polygon", "none", "probability")),
        "rle",
        "COCO compressed RLE, COCO polygons, none, or RLE with an 8-bit picture of each mask's probabilities beside it "
        "(only with `task=instances`); `area` is always computed from the mask",
    )
    refinement: int = _option(
        Integer(0, FULL_REFINEMENT),
        FULL_REFINEMENT,
        "where the mask grid ends: 7x7 (coarse only), 28, 56, 112 or 224; for heads that refine points",
    )
    exact: bool = _option(
        Boolean(),
        False,
        "refine every object to the full `refinement`; otherwise a small one stops once a cell of its grid is at most "
        "half a pixel of the image",
    )
    mask_head: str = _option(
        Choice(("point", "conv")),
        "point",
        "PointRend's masks, or those of a constant 28x28 head as in Mask R-CNN, for models that have both",
    )
    points: bool = _option(
        Boolean(),
        False,
        "add to each instance the points that the last refinement step predicted; only with `task=instances` and "
        "`format=json`",
    )
    boxes: tuple[BoxPrompt, ...] | None = _option(
        BoxList(),
        None,
        "one mask for each of these boxes, in the same order, instead of detecting objects; in pixels of the upright "
        "image, the category optional",
    )
    tiles: int | None = _option(
        Integer(SMALLEST_TILE, LARGEST_TILE),
        None,
        "cut an image that is wider or higher than this many pixels into overlapping tiles of this side, and join the "
        "objects; for small objects in large images; only with `task=instances`",
    )
    format: str = _option(
        Choice(("json", "png", "cutouts", "label_map", "uncertainty")),
        "json",
        "response format, see below; takes precedence over the header `Accept`, where `image/png` means `png`",
    )

    def __post_init__(self) -> None:
        for entry in table():
            value = getattr(self, entry.name)
            if value is not entry.default:
                object.__setattr__(self, entry.name, entry.kind.read(entry.name, value))
        if self.boxes is not None:
            _check_beside_boxes(self)

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Options:
        """Read options from form fields, JSON keys or a header; a value may be text or its JSON type.

        Raises:
            InvalidOption: a name is unknown (the nearest known one is suggested), a value is out of range, or two
                do not go together.
        """
        known = names()
        for name in raw:
            if name not in known:
                raise _unknown(name)
        options = cls(**raw)
        if options.format not in FORMATS[options.task]:
            raise _no_such_answer(options)
        if options.masks == "probability" and options.task != "instances":
            raise _no_probabilities(options)
        if options.points and (options.task, options.format) != ("instances", "json"):
            raise _no_points(options)
        check_tiles(options)
        return options


Task = Literal["instances", "detection", "semantic"]


class Array(Protocol):
    """Of NumPy or PyTorch."""

    def tolist(self) -> Any:
        """Its numbers as nested lists."""


class Corners(Protocol):
    """Such as ``supervision.Detections``."""

    @property
    def xyxy(self) -> Any:
        """An array (N, 4)."""


BoxesInput = Sequence[Any] | Array | Corners | Mapping[str, Any] | str
"""What ``boxes`` may be: ``[x, y, width, height]``, ``{"bbox": ..., "category": ...}`` or :class:`BoxPrompt` each; an
array (N, 4); or what a detector of another library has found (:func:`~pointrend.structures.boxes.detector_corners`)."""


class OptionKeywords(TypedDict, total=False):
    """The fields of :class:`Options` as keyword arguments of clients, for type checkers and editors.

    Without ``format``, which clients set themselves.
    """

    task: Task
    score_threshold: float
    max_detections: int
    categories: str | Sequence[str | int]
    masks: Literal["rle", "polygon", "none", "probability"]
    refinement: int
    exact: bool
    mask_head: Literal["point", "conv"]
    points: bool
    boxes: BoxesInput
    tiles: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One option as the table tells it.

    Attributes:
        name: as a request spells it.
        kind: what it may hold.
        default: its value where it is left out.
        meaning: what it does, in one sentence.
    """

    name: str
    kind: OptionKind
    default: Any
    meaning: str


FORMATS: dict[str, dict[str, str]] = {
    "instances": {
        "json": "`instances`: category, score, bbox, area, segmentation",
        "png": "the image with masks, outlines and labels drawn on it",
        "cutouts": "a zip of transparent PNGs cropped to one mask each, such as `person-2.png`, and `manifest.json`",
        "label_map": "a 16-bit PNG: 0 is background, 1 the best instance, 2 the second best; better ones are on top",
        "uncertainty": "the image in grey, with colour where the model is unsure whether a pixel belongs to an object",
    },
    "detection": {
        "json": "`instances` without segmentation and area",
        "png": "the image with boxes and labels drawn on it",
    },
    "semantic": {
        "json": "`segments`, one per category: category, area, segmentation",
        "png": "the image with the categories drawn on it",
        "label_map": "an 8-bit palette PNG: 0 is background, other values are category ids",
    },
}
"""What a task is answered with, by ``format``; the two do not go together where nothing stands."""


def table() -> tuple[Entry, ...]:
    """Every option, in the order of the documentation."""
    return tuple(
        Entry(field.name, field.metadata["kind"], field.default, field.metadata["meaning"])
        for field in dataclasses.fields(Options)
    )


def names() -> tuple[str, ...]:
    """Every option's name."""
    return tuple(entry.name for entry in table())


def schema() -> dict[str, Any]:
    """JSON Schema of all options, by name."""
    described: dict[str, Any] = {}
    for entry in table():
        described[entry.name] = {**entry.kind.schema(), "description": entry.meaning}
        if entry.default is not None:
            described[entry.name]["default"] = entry.default
    return described


def check_tiles(options: Options) -> None:
    """Refuse ``tiles`` beside what cannot be joined.

    Raises:
        InvalidOption: another task than ``instances``, ``points``, ``boxes`` or probabilities.
    """
    if options.tiles is None:
        return
    if options.task != "instances":
        raise InvalidOption(
            f"tiles={options.tiles} is for task=instances, since objects are joined by their masks, not for "
            f"task={options.task}; leave one of the two out.",
            field="tiles",
            value=options.tiles,
            code="unsupported_combination",
        )
    beside = {
        "points=true": options.points,
        "masks=probability": options.masks == "probability",
        "format=uncertainty": options.format == "uncertainty",
        "boxes: every box has its own mask": options.boxes is not None,
    }
    if any(beside.values()):
        raise InvalidOption(
            f"tiles={options.tiles} joins objects of several tiles and does not go with "
            f"{', '.join(name for name, is_asked in beside.items() if is_asked)}; leave one of the two out.",
            field="tiles",
            value=options.tiles,
            code="unsupported_combination",
        )


def _unknown(name: str) -> InvalidOption:
    return InvalidOption(
        f"There is no option {name[:100]!r}.{suggest(name, names())} Known: {', '.join(names())}.",
        field=name[:100],
        limit=list(names()),
        code="unknown_option",
    )


def _check_beside_boxes(options: Options) -> None:
    """Refuse what chooses among detections, or merges them: every box gets its own mask.

    Raises:
        InvalidOption: such an option does not have its default.
    """
    defaults = {entry.name: entry.default for entry in table()}
    for name in ("task", "score_threshold", "max_detections", "categories"):
        value = getattr(options, name)
        if value != defaults[name]:
            raise InvalidOption(
                f"{name} does not go together with boxes, of which each gets its mask: omit {name}.",
                field=name,
                limit=defaults[name],
                value=list(value) if isinstance(value, tuple) else value,
                code="unsupported_combination",
            )


def _no_points(options: Options) -> InvalidOption:
    return InvalidOption(
        f"points=true is for task=instances and format=json, not task={options.task} and format={options.format}.",
        field="points",
        limit=False,
        value=True,
        code="unsupported_combination",
    )


def _no_probabilities(options: Options) -> InvalidOption:
    return InvalidOption(
        f"masks=probability is for task=instances, not task={options.task}.",
        field="masks",
        limit=["rle", "polygon", "none"],
        value=options.masks,
        code="unsupported_combination",
    )


def _no_such_answer(options: Options) -> InvalidOption:
    possible = list(FORMATS[options.task])
    return InvalidOption(
        f"task={options.task} cannot be answered as format={options.format}; ask for {' or '.join(possible)}.",
        field="format",
        limit=possible,
        value=options.format,
        code="unsupported_combination",
    )
