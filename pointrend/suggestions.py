"""What somebody may have meant who named something that is not there."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def suggest(name: str, known: Iterable[str]) -> str:
    """A question to put behind an error's first sentence, with a space before it; empty where nothing is near.

    >>> suggest("score_treshold", ["score_threshold", "masks"])
    " Did you mean 'score_threshold'?"
    """
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
