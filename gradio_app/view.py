"""What the page says of a result, of an error and of a server, as text and rows."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Sequence
from typing import Any

from gradio_app.result import Result, ViewSelection
from gradio_app.servers import DOWN, LOADING, OVERLOADED, READY, RESTARTING, State
from pointrend.errors import RequestError
from pointrend.visualize.palettes import colour

COLUMNS = ("Object", "Score", "Size (px)", "Share")
MOST_LISTED = 20  # categories that are named; the published models know 80
INVITATION = "Choose an image, use the camera, or try an example."
GONE = "The image has been deleted. Choose it again."
_STATES = {
    READY: "Server ready",
    LOADING: "Server loading, ready in a moment",
    OVERLOADED: "Server overloaded, responses take longer",
    RESTARTING: "Server restarting, ready in a moment",
    DOWN: "Server down, the page reconnects automatically",
}


def table(result: Result | None, choice: ViewSelection) -> dict[str, Any]:
    """A row a visible instance under :data:`COLUMNS`, best first, with its colour and the chosen one marked."""
    visible = [] if result is None else result.visible(choice)
    return {
        "headers": list(COLUMNS),
        "data": [] if result is None else [_row(result, index) for index in visible],
        "metadata": {"styling": [_style(index, chosen=index == choice.chosen) for index in visible]},
    }


def _row(result: Result, index: int) -> list[str]:
    instance = result.prediction.instances[index]
    _, _, width, height = instance.bbox
    area = width * height if instance.area is None else instance.area
    return [
        result.labels[index],
        "" if result.is_map else f"{instance.score:.0%}",
        f"{width:.0f} x {height:.0f}",
        f"{area / (result.prediction.width * result.prediction.height):.1%}",
    ]


def _style(index: int, *, chosen: bool) -> list[str]:
    rgb = "rgb({}, {}, {})".format(*colour(index))
    weight = "font-weight: 700; text-decoration: underline;" if chosen else ""
    return [f"border-left: 6px solid {rgb}; {weight}", *[weight] * (len(COLUMNS) - 1)]


def summary(result: Result, choice: ViewSelection) -> str:
    """One sentence on what is visible, or on what is singled out, and how long it took."""
    prediction = result.prediction
    visible = result.visible(choice)
    took = f"{sum(prediction.timing_ms.values()) / 1000:.2f} s on the server"
    if choice.chosen in visible:
        name, score, size, share = _row(result, choice.chosen)
        sure = f"{score} sure, " if score else ""
        return f"**{name}**: {sure}{size} pixels, {share} of the photo. Select it again to show all."
    hidden = len(prediction.instances) - len(visible)
    if not visible:
        reason = "Lower the threshold or tick more categories" if hidden else "The model found no objects"
        return f"Nothing to show. {reason} ({hidden} less certain or hidden, {took})."
    if result.is_map:
        named = _listed([result.labels[index] for index in visible])
        return f"**{named}** in {prediction.width} x {prediction.height} pixels ({took})."
    counts = Counter(prediction.instances[index].category for index in visible)
    found = ", ".join(f"{count} x {category}" for category, count in counts.most_common())
    return f"**Found {found}** in {prediction.width} x {prediction.height} pixels ({took})."


def category_choices(result: Result, reliable: Sequence[str]) -> tuple[list[str], list[str]]:
    """Names that the category filter offers, and those that it starts with: what the model shows by default."""
    names = result.categories()
    return names, [name for name in names if name in reliable] if reliable else names


def complaint(error: RequestError) -> str:
    """A failure as the reader of the page needs it."""
    return f"⚠️ {error.message}"


def state(state: State) -> str:
    """How a server is doing, as one line of HTML; its light is the style sheet's."""
    named = f" · {state.about['name']} {state.about['version']}" if state.kind == READY else ""
    return f'<span class="light {state.kind}" role="status">{html.escape(_STATES[state.kind] + named)}</span>'


def about(state: State) -> str:
    """What the served model is and what it finds well; empty until it has once answered."""
    if not state.about:
        return ""
    names = [category["name"] for category in state.about["categories"]]
    said = abilities(state.about["name"], names, state.about.get("reliable", []), state.about.get("often_missed", []))
    return f"{said} {state.about.get('description', '')}"


def abilities(name: str, all_names: Sequence[str], shown: Sequence[str], often_missed: Sequence[str]) -> str:
    """What the served model finds, what of it is hidden by default, and what it often misses.

    Args:
        name: of the model.
        all_names: of its categories.
        shown: those that are shown by default; empty for all.
        often_missed: those that it finds badly.
    """
    text = f"**{name}** finds {_listed(shown or all_names)}."
    hidden = [category for category in all_names if shown and category not in shown]
    if hidden:
        text += f" Hidden by default: {_listed(hidden)}."
    if often_missed:
        text += f" Often missed: {_listed(often_missed)}."
    return text


def _listed(words: Sequence[str]) -> str:
    if len(words) > MOST_LISTED:
        words = [*words[:MOST_LISTED], f"{len(words) - MOST_LISTED} more"]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
