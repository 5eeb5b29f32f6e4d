"""What a model says of itself, checked before it is believed; see ``handler/description.py`` for what a server says."""

from __future__ import annotations

import math
from typing import Any

from pointrend.errors import InvalidPrediction
from pointrend.prediction_checks import brief, check_list, check_object, check_text, check_whole

MAX_CATEGORIES = 100_000
MAX_PROSE = 100_000


def checked_description(tree: Any) -> dict[str, Any]:
    """A description whose parts, where they are there, are of their type; others are left as they are.

    Raises:
        ValueError: a part is not; it names the part.
    """
    tree = check_object(tree, "the description")
    _check_numbers(tree)
    for key in ("name", "version", "engine"):
        if key in tree:
            check_text(tree[key], key)
    for key in ("description", "licence"):
        if key in tree and not (isinstance(tree[key], str) and len(tree[key]) <= MAX_PROSE):
            raise InvalidPrediction(key, f"must be text, not {brief(tree[key])}")
    for index, category in enumerate(check_list(tree.get("categories", []), "categories", MAX_CATEGORIES)):
        path = f"categories[{index}]"
        category = check_object(category, path)
        check_whole(category.get("id"), f"{path}.id")
        check_text(category.get("name"), f"{path}.name")
    for key in ("reliable", "mask_heads"):
        _check_names(tree.get(key, []), key)
    for task, formats in check_object(tree.get("tasks", {}), "tasks").items():
        _check_names(formats, f"tasks.{check_text(task, 'tasks')}")
    for key in ("limits", "options"):
        check_object(tree.get(key, {}), key)
    if not isinstance(tree.get("refines_points", True), bool):
        raise InvalidPrediction("refines_points", f"must be true or false, not {brief(tree['refines_points'])}")
    return tree


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
