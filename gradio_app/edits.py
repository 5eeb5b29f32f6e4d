"""A viewer's correction of a result, read from an event: nothing of it is believed.

An edit is ``{"delete": [0]}``, ``{"rename": [0, 2], "category": "dog"}``, ``{"merge": [0, 1]}``, ``{"split": 0}`` or
``{"undo": true}``; its numbers are places of objects in the result that it is of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gradio_app.result import Result
from pointrend.errors import InvalidPrediction, InvalidRequest
from pointrend.structures.corrections import from_tree
from pointrend.structures.prediction_checks import brief


def apply_edit(result: Result, tree: Any, categories: Sequence[Mapping[str, Any]]) -> Result:
    """A result with a further correction, or without the last one.

    Args:
        result: the viewer's.
        tree: the edit, as it came.
        categories: all that the model knows, ``{"id": ..., "name": ...}`` each; a new name is one of theirs.

    Raises:
        InvalidRequest: it is no edit, or cannot be made; names the field.
    """
    if not isinstance(tree, dict):
        raise InvalidRequest(f"edit must be an object, not {brief(tree)}.", field="edit")
    if "undo" in tree:
        return result.undone()
    if "rename" in tree:
        tree = tree | {"category_id": _category_id(tree.get("category"), categories)}
    try:
        edit = from_tree(tree)
    except InvalidPrediction as error:
        raise InvalidRequest(str(error), field=f"edit.{error.field}") from error
    return result.edited(edit)


def _category_id(name: Any, categories: Sequence[Mapping[str, Any]]) -> int:
    for category in categories:
        if isinstance(name, str) and category["name"] == name:
            return int(category["id"])
    raise InvalidRequest(
        f"category must be one of the {len(categories)} that the model knows, not {brief(name)}.",
        field="edit.category",
        value=name if isinstance(name, str) else None,
    )
