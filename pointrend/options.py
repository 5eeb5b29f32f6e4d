"""What a caller may ask for, as one table: it validates, it documents, and the server and the page both read it."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from pointrend.errors import InvalidOption


@dataclass(frozen=True, slots=True)
class Options:
    """Options of one request; :meth:`parse` reads them from text or JSON.

    Attributes:
        score_threshold: keep detections at or above this score, in [0, 1]; the model itself reports none below 0.05.
        max_detections: at most this many, the best after ``categories``; 1 to 100.
        categories: names or ids to keep; None keeps all.
        masks: ``rle`` or ``none``.
        refinement: steps of point refinement, 0 to 4: the mask grid stops at 7, 28, 56, 112 or 224.
        format: ``json`` or ``png`` (the photo with its masks drawn on it).
    """

    score_threshold: float = 0.5
    max_detections: int = 100
    categories: tuple[str, ...] | None = None
    masks: str = "rle"
    refinement: int = 4
    format: str = "json"

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Options:
        """Read options from form fields, JSON keys or a header; a value may be text or its JSON type.

        Raises:
            InvalidOption: a name is unknown (the nearest known one is suggested) or a value is out of range.
        """
        values: dict[str, Any] = {}
        for name, value in raw.items():
            if name not in _READERS:
                raise _unknown(name)
            values[name] = _READERS[name](name, value)
        return cls(**values)


def names() -> tuple[str, ...]:
    """Every option's name."""
    return tuple(field.name for field in fields(Options))


def _unknown(name: str) -> InvalidOption:
    near = difflib.get_close_matches(name, _READERS, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return InvalidOption(
        f"There is no option {name!r}.{hint} Known: {', '.join(names())}.",
        field=name,
        limit=list(names()),
        code="unknown_option",
    )


def _number(low: float, high: float) -> Callable[[str, Any], float]:
    def read(name: str, value: Any) -> float:
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not low <= number <= high:
            raise InvalidOption(
                f"{name} must be a number from {low:g} to {high:g}, not {value!r}.",
                field=name,
                limit=[low, high],
                value=_shown(value),
            )
        return number

    return read


def _integer(low: int, high: int) -> Callable[[str, Any], int]:
    number = _number(low, high)

    def read(name: str, value: Any) -> int:
        result = number(name, value)
        if result != int(result):
            raise InvalidOption(
                f"{name} must be a whole number from {low} to {high}, not {value!r}.",
                field=name,
                limit=[low, high],
                value=_shown(value),
            )
        return int(result)

    return read


def _one_of(*allowed: str) -> Callable[[str, Any], str]:
    def read(name: str, value: Any) -> str:
        if value not in allowed:
            raise InvalidOption(
                f"{name} must be one of {', '.join(allowed)}, not {value!r}.",
                field=name,
                limit=list(allowed),
                value=_shown(value),
            )
        return str(value)

    return read


def _names_or_ids(name: str, value: Any) -> tuple[str, ...]:
    """``person,17`` or ``["person", 17]``; whether the model knows them is the model's to say."""
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not all(isinstance(item, str | int) for item in items):
        raise InvalidOption(
            f"{name} must be names or ids, as a list or separated by commas, not {value!r}.",
            field=name,
            value=_shown(value),
        )
    kept = tuple(text for item in items if (text := str(item).strip()))
    if not kept:
        raise InvalidOption(f"{name} names no category; leave it out to keep all.", field=name, value=_shown(value))
    return kept


def _shown(value: Any) -> Any:
    """A value as an error may repeat it: JSON types stay, long text is cut, the rest becomes text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int | float | bool):
        return value
    return str(value)[:100]


_READERS: dict[str, Callable[[str, Any], Any]] = {
    "score_threshold": _number(0.0, 1.0),
    "max_detections": _integer(1, 100),
    "categories": _names_or_ids,
    "masks": _one_of("rle", "none"),
    "refinement": _integer(0, 4),
    "format": _one_of("json", "png"),
}
