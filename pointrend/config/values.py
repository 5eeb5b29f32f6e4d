"""Typed look-up of dotted keys in a detectron2 configuration; every error names the key, what is allowed, what came."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from typing import Any

from pointrend.config.defaults import DEFAULTS
from pointrend.errors import ConfigError

LONGEST_LITERAL = 1000
MOST_NUMBERS = 64  # anchors at each place of a level: the network grows with them
LARGEST_INTEGER = 2**63  # Python's have no end, and floats do not reach all of them


class Values:
    """The values of a nested configuration; a key that it leaves out has detectron2's default.

    Every method raises ConfigError where the value has the wrong type or is not allowed.
    """

    def __init__(self, tree: Mapping[str, Any]) -> None:
        self._tree = tree

    def text(self, key: str, *allowed: str) -> str:
        """One of ``allowed``."""
        value, found = self._look_up(key)
        if value not in allowed:
            choice = "be one of " + ", ".join(map(repr, allowed)) if len(allowed) > 1 else f"be {allowed[0]!r}"
            raise ConfigError(f"{key} must {choice}, not {found}.")
        return str(value)

    def flag(self, key: str) -> bool:
        """True or false."""
        value, found = self._look_up(key)
        if not isinstance(value, bool):
            raise ConfigError(f"{key} must be true or false, not {found}.")
        return value

    def integer(self, key: str, low: int = 1, high: int = 65536) -> int:
        """A whole number from ``low`` to ``high``."""
        value, found = self._look_up(key)
        value = _literal(value)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ConfigError(f"{key} must be a whole number from {low} to {high}, not {found}.")
        return value

    def fraction(self, key: str) -> float:
        """A number from 0 to 1."""
        value, found = self._look_up(key)
        value = _literal(value)
        if not _is_number(value) or not 0 <= value <= 1:
            raise ConfigError(f"{key} must be a number from 0 to 1, not {found}.")
        return float(value)

    def numbers(self, key: str, count: int, *, positive: bool = False) -> tuple[float, ...]:
        """Exactly ``count`` finite numbers."""
        value, found = self._look_up(key)
        value = _literal(value)
        if not _are_numbers(value) or len(value) != count or (positive and min(value) <= 0):
            kind = "positive numbers" if positive else "numbers"
            raise ConfigError(f"{key} must be a list of {count} {kind}, not {found}.")
        return tuple(float(item) for item in value)

    def calibration(self, key: str) -> tuple[float, float]:
        """Slope and offset of logits; the order stays, so the slope is positive."""
        slope, offset = self.numbers(key, 2)
        if slope <= 0:
            raise ConfigError(f"{key} must begin with a positive slope, not {slope}.")
        return slope, offset

    def number_lists(self, key: str) -> tuple[tuple[float, ...], ...]:
        """A list of lists of positive numbers, none of them empty."""
        value, found = self._look_up(key)
        value = _literal(value)
        lists: Any = value if isinstance(value, list | tuple) else [None]
        if not lists or not all(_are_numbers(item) and item and min(item) > 0 for item in lists):
            raise ConfigError(f"{key} must be a list of lists of positive numbers, not {found}.")
        if max(len(lists), *map(len, lists)) > MOST_NUMBERS:
            raise ConfigError(
                f"{key} must have at most {MOST_NUMBERS} lists, each of at most as many numbers, not {found}."
            )
        return tuple(tuple(float(number) for number in item) for item in lists)

    def require(self, key: str, wanted: Any) -> None:
        """Check that a key has the only value that can be built; sequences may be lists or tuples."""
        value, found = self._look_up(key)
        value = value if isinstance(wanted, str) else _literal(value)
        value = list(value) if isinstance(value, tuple) else value
        if value != wanted or isinstance(value, bool) != isinstance(wanted, bool):
            raise ConfigError(f"{key} must be {_shown(wanted)}, not {found}.")

    def _look_up(self, key: str) -> tuple[Any, str]:
        """The value of a key, and how an error may speak of it."""
        node: Any = self._tree
        for part in key.split("."):
            if not isinstance(node, Mapping):
                raise ConfigError(f"{key} cannot be read: its parent is {_shown(node)}, not a section.")
            if part not in node:
                default = DEFAULTS[key]
                return default, f"{_shown(default)}, which is detectron2's default where the key is left out"
            node = node[part]
        return node, _shown(node)


def _literal(value: Any) -> Any:
    """detectron2 also reads ``(640, 672)`` and ``1e-3``, which are text in YAML, as what they are in Python."""
    if not isinstance(value, str) or len(value) > LONGEST_LITERAL:
        return value
    try:
        return ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return value


def _is_number(value: Any) -> bool:
    if isinstance(value, int):
        return not isinstance(value, bool) and abs(value) < LARGEST_INTEGER
    return isinstance(value, float) and math.isfinite(value)


def _are_numbers(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(_is_number(item) for item in value)


def _shown(value: Any) -> str:
    if isinstance(value, int) and abs(value) >= LARGEST_INTEGER:
        return f"a whole number of {value.bit_length()} bits"
    try:
        text = _text(value)
    except ValueError:  # such a number within a list
        text = f"a {type(value).__name__} with a number too long to show"
    return text if len(text) <= 100 else text[:97] + "..."


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)
