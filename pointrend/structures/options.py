"""What a caller may ask for, as one table: it validates, it documents, and the server and the page both read it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypedDict

from pointrend.errors import InvalidOption
from pointrend.structures.boxes import BoxList, BoxPrompt
from pointrend.structures.option_combinations import check_boxes, check_together
from pointrend.structures.option_kinds import Boolean, Choice, Integer, NamesOrIds, Number, OptionKind
from pointrend.suggestions import suggest

FULL_REFINEMENT = 4
SMALLEST_TILE, LARGEST_TILE = 256, 4096  # pixels a side
LONGEST_BUDGET = 600_000  # milliseconds
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
    zoom: bool | None = _option(
        Boolean(),
        None,
        "look again, closer, at each large object of a large image, and refine its mask to 448x448 or 896x896; for "
        "heads that refine points; by default only with `format=cutouts`",
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
    budget_ms: int | None = _option(
        Integer(1, LONGEST_BUDGET),
        None,
        "refine masks only until this many milliseconds have passed, the likeliest objects first; `grid` says how far "
        "each came; only with `task=instances`, for heads that refine points",
    )
    alpha: str = _option(
        Choice(("soft", "hard")),
        "soft",
        "edges of cut-outs: anti-aliased, without colours of the old background, or exactly the mask; only with "
        "`format=cutouts`",
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
        check_boxes(self)

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
        check_together(options)
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
    zoom: bool
    points: bool
    boxes: BoxesInput
    tiles: int
    budget_ms: int
    alpha: Literal["soft", "hard"]


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


def _unknown(name: str) -> InvalidOption:
    return InvalidOption(
        f"There is no option {name[:100]!r}.{suggest(name, names())} Known: {', '.join(names())}.",
        field=name[:100],
        limit=list(names()),
        code="unknown_option",
    )
