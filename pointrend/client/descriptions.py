"""A model's description of itself, checked before it is believed; ``pointrend/service/description.py`` writes it."""

from __future__ import annotations

import math
from typing import Any

from pointrend.errors import InvalidPrediction
from pointrend.structures.prediction_checks import brief, check_list, check_object, check_text, check_whole

MAX_CATEGORIES = 100_000
MAX_PROSE = 100_000


def checked_description(tree: Any) -> dict[str, Any]:
    """A description whose parts, where they are there, are of their type; others are left as they are.

    Raises:
        ValueError: a part is not; it names the part.
    """
    about = check_object(tree, "the description")
    _check_numbers(about)
    for key in ("name", "version", "engine"):
        if key in about:
            check_text(about[key], key)
    for key in ("description", "licence"):
        if key in about and not (isinstance(about[key], str) and len(about[key]) <= MAX_PROSE):
            raise InvalidPrediction(key, f"must be text, not {brief(about[key])}")
    for index, category in enumerate(check_list(about.get("categories", []), "categories", MAX_CATEGORIES)):
        path = f"categories[{index}]"
        found = check_object(category, path)
        check_whole(found.get("id"), f"{path}.id")
        check_text(found.get("name"), f"{path}.name")
    for key in ("reliable", "often_missed", "mask_heads"):
        _check_names(about.get(key, []), key)
    for task, formats in check_object(about.get("tasks", {}), "tasks").items():
        _check_names(formats, f"tasks.{check_text(task, 'tasks')}")
    for key in ("limits", "options"):
        check_object(about.get(key, {}), key)
    for key in ("refines_points", "takes_boxes"):
        if not isinstance(about.get(key, True), bool):
            raise InvalidPrediction(key, f"must be true or false, not {brief(about[key])}")
    return about


def _check_names(names: Any, path: str) -> None:
    for index, name in enumerate(check_list(names, path, MAX_CATEGORIES)):
        check_text(name, f"{path}[{index}]")


def _check_numbers(tree: Any) -> None:
    """Refuse infinity, as which Python reads 1e999."""
    waiting = [tree]
    while waiting:
        each = waiting.pop()
        if isinstance(each, float) and not math.isfinite(each):
            raise InvalidPrediction("the description", "holds a number that is not finite")
        if isinstance(each, dict | list):
            waiting += each.values() if isinstance(each, dict) else each
