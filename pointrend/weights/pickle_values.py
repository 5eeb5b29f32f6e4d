"""What the pickle machine makes besides plain values, and how a pickle's values are checked and shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pointrend.errors import CheckpointError

LONGEST_KEY = 1000

Call = Callable[..., Any]
Key = tuple[str, str]


class Global:
    """What a permitted name stands for: a function of ours, which may be called, but not altered."""

    __slots__ = ("call",)

    def __init__(self, call: Call) -> None:
        self.call = call


class Built:
    """Base of what calls make and a pickle then gives a state."""

    __slots__ = ()

    def set_state(self, state: Any) -> None:
        """Take what the pickle says; the same object may get several states, the last of which counts."""
        raise NotImplementedError


class Mapped(dict[Any, Any]):
    """A dictionary that is made by a call, such as an ordered one; the attributes set on it are dropped."""


def shown(value: Any) -> str:
    """A pickle's value for an error message: whole if it is a short scalar or a tuple of such, else only its type."""
    if value is None or isinstance(value, bool | float):
        return repr(value)
    if isinstance(value, int) and abs(value) < 2**63:
        return repr(value)
    if isinstance(value, str):
        return repr(value[:50])
    if isinstance(value, tuple) and len(value) <= 8 and all(type(item) is int for item in value):
        return f"({', '.join(map(shown, value))}{',' if len(value) == 1 else ''})"
    return f"a {type(value).__name__}"


def checked_key(key: Any) -> Any:
    """A key that costs little to look up: no nested tuple to hash, no long text to compare, no numbers of one hash.

    Raises:
        CheckpointError: it is another.
    """
    if key is None or (isinstance(key, int) and abs(key) < 2**63):
        return key
    if isinstance(key, str | bytes) and len(key) <= LONGEST_KEY:
        return key
    raise CheckpointError(f"the pickle has {shown(key)} as a key; text up to {LONGEST_KEY} signs and whole numbers are")
