"""What a single option may hold: each kind reads text or JSON, and describes itself to people and to programs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

from pointrend.errors import InvalidOption

Schema = dict[str, Any]


class OptionKind(Protocol):
    """How one option is read and described."""

    def read(self, name: str, value: Any) -> Any:
        """The value of option ``name`` from text or its JSON type.

        Raises:
            InvalidOption: it is none.
        """

    def schema(self) -> Schema:
        """JSON Schema of the value."""

    def values(self) -> str:
        """What it may be, in words for a table."""


@dataclass(frozen=True, slots=True)
class Number:
    """A real number from ``low`` to ``high``."""

    low: float
    high: float

    def read(self, name: str, value: Any) -> float:
        """See :class:`OptionKind`."""
        number = _float(value)
        if not self.low <= number <= self.high:
            raise InvalidOption(
                f"{name} must be a number from {self.low:g} to {self.high:g}, not {_quoted(value)}.",
                field=name,
                limit=[self.low, self.high],
                value=shown(value),
            )
        return number

    def schema(self) -> Schema:
        """See :class:`OptionKind`."""
        return {"type": "number", "minimum": self.low, "maximum": self.high}

    def values(self) -> str:
        """See :class:`OptionKind`."""
        return f"{self.low:g} to {self.high:g}"


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number from ``low`` to ``high``."""

    low: int
    high: int

    def read(self, name: str, value: Any) -> int:
        """See :class:`OptionKind`."""
        number = _float(value)
        if not self.low <= number <= self.high or number != int(number):
            raise InvalidOption(
                f"{name} must be a whole number from {self.low} to {self.high}, not {_quoted(value)}.",
                field=name,
                limit=[self.low, self.high],
                value=shown(value),
            )
        return int(number)

    def schema(self) -> Schema:
        """See :class:`OptionKind`."""
        return {"type": "integer", "minimum": self.low, "maximum": self.high}

    def values(self) -> str:
        """See :class:`OptionKind`."""
        return f"{self.low} to {self.high}"


@dataclass(frozen=True, slots=True)
class Boolean:
    """``true`` or ``false``; in text, in any case, ``1`` and ``0`` too."""

    def read(self, name: str, value: Any) -> bool:
        """See :class:`OptionKind`."""
        if isinstance(value, bool):
            return value
        text = value.strip().lower() if isinstance(value, str) else ""
        if text not in ("true", "false", "1", "0"):
            raise InvalidOption(
                f"{name} must be true or false, not {_quoted(value)}.",
                field=name,
                limit=[False, True],
                value=shown(value),
            )
        return text in ("true", "1")

    def schema(self) -> Schema:
        """See :class:`OptionKind`."""
        return {"type": "boolean"}

    def values(self) -> str:
        """See :class:`OptionKind`."""
        return "`true`, `false`"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    allowed: tuple[str, ...]

    def read(self, name: str, value: Any) -> str:
        """See :class:`OptionKind`."""
        if value not in self.allowed:
            raise InvalidOption(
                f"{name} must be one of {', '.join(self.allowed)}, not {_quoted(value)}.",
                field=name,
                limit=list(self.allowed),
                value=shown(value),
            )
        return str(value)

    def schema(self) -> Schema:
        """See :class:`OptionKind`."""
        return {"type": "string", "enum": list(self.allowed)}

    def values(self) -> str:
        """See :class:`OptionKind`."""
        return ", ".join(f"`{word}`" for word in self.allowed)


@dataclass(frozen=True, slots=True)
class NamesOrIds:
    """``person,17`` or ``["person", 17]``; whether the model knows them is the model's to say."""

    def read(self, name: str, value: Any) -> tuple[str, ...]:
        """See :class:`OptionKind`."""
        items = value.split(",") if isinstance(value, str) else value
        if not isinstance(items, list | tuple) or not all(_is_name_or_id(item) for item in items):
            raise InvalidOption(
                f"{name} must be names or ids, as a list or comma-separated, not {_quoted(value)}.",
                field=name,
                value=shown(value),
            )
        kept = tuple(text for item in items if (text := str(item).strip()))
        if not kept:
            raise InvalidOption(f"{name} names no category; omit it to keep all.", field=name, value=shown(value))
        return kept

    def schema(self) -> Schema:
        """See :class:`OptionKind`."""
        return {
            "oneOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "minItems": 1, "items": {"type": ["string", "integer"]}},
            ]
        }

    def values(self) -> str:
        """See :class:`OptionKind`."""
        return "names or ids, as a list or comma-separated"


def shown(value: Any) -> Any:
    """A value as an error may repeat it: JSON types stay, long text is cut, the rest becomes text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < 2**53):
        return value
    return _short(str(value))


def _is_name_or_id(item: Any) -> bool:
    return isinstance(item, str | int) and not isinstance(item, bool)


def _float(value: Any) -> float:
    """NaN, which no range holds, where it is no number."""
    try:
        return math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _quoted(value: Any) -> str:
    return _short(repr(value))


def _short(text: str, most: int = 100) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."
