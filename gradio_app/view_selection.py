"""What a viewer's browser says that it shows, read from an event: nothing of it is believed."""

from __future__ import annotations

import math
import re
from typing import Any

from gradio_app.result import MASKS, VIEWS, ViewSelection
from pointrend.errors import InvalidRequest
from pointrend.visualize.effects import EFFECTS
from pointrend.visualize.palettes import Colour

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_MOST_KEPT = 10_000


def read_selection(tree: Any, background: bytes | None = None) -> ViewSelection:
    """Check a selection as ``browser/viewer.js`` sends it.

    Args:
        tree: what came.
        background: an image file that came with it.

    Raises:
        InvalidRequest: it is none; names the field.
    """
    if not isinstance(tree, dict):
        raise InvalidRequest("The selection is not an object.", field="selection")
    kept = tree.get("kept")
    if not isinstance(kept, list) or len(kept) > _MOST_KEPT or not all(type(place) is int for place in kept):
        raise InvalidRequest("kept is not a list of the places of objects.", field="kept")
    chosen = tree.get("chosen")
    if chosen is not None and type(chosen) is not int:
        raise InvalidRequest("chosen is not the place of an object.", field="chosen")
    return ViewSelection(
        view=_one_of("view", tree.get("view", MASKS), VIEWS),
        threshold=read_share("threshold", tree.get("threshold", 0.5)),
        opacity=read_share("opacity", tree.get("opacity", 0.5)),
        chosen=chosen,
        kept=tuple(kept),
        effect=_one_of("effect", tree.get("effect", "blur"), EFFECTS),
        colour=read_colour(tree.get("colour", "#ffffff")),
        background=background,
    )


def _one_of(field: str, value: Any, allowed: tuple[Any, ...]) -> Any:
    if value not in allowed:
        raise InvalidRequest(f"{field} is one of {', '.join(allowed)}.", field=field, limit=list(allowed))
    return value


def read_colour(value: Any) -> Colour:
    """Red, green and blue of ``#rrggbb``.

    Raises:
        InvalidRequest: it is not written so.
    """
    if not isinstance(value, str) or not _COLOUR.fullmatch(value):
        said = f"colour must be written as #rrggbb, such as #ffffff, not {str(value)[:80]!r}."
        raise InvalidRequest(said, field="colour")
    red, green, blue = bytes.fromhex(value[1:])
    return red, green, blue


def read_share(field: str, value: Any) -> float:
    """A number from 0 to 1.

    Raises:
        InvalidRequest: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not (math.isfinite(value) and 0 <= value <= 1):
        raise InvalidRequest(f"{field} is a number from 0 to 1.", field=field, limit=[0, 1])
    return float(value)


def page_address(value: Any) -> str:
    """Where a browser sees the page, for code that is shown to its viewer.

    Raises:
        InvalidRequest: it is no address of a page.
    """
    if not isinstance(value, str) or not re.fullmatch(r"https?://[\w.:\[\]/~%-]{1,300}", value):
        raise InvalidRequest("page is not the address of a page.", field="page")
    return value.rstrip("/")
