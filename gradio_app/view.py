"""What the page says of an error, of a server and of its model."""

from __future__ import annotations

import html
from collections.abc import Sequence

from gradio_app.servers import DOWN, LOADING, OVERLOADED, READY, RESTARTING, State
from pointrend.errors import RequestError

MOST_LISTED = 20  # categories that are named; the published models know 80
_STATES = {
    READY: "Server ready",
    LOADING: "Server loading, ready in a moment",
    OVERLOADED: "Server overloaded, responses take longer",
    RESTARTING: "Server restarting, ready in a moment",
    DOWN: "Server down, the page reconnects automatically",
}


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
