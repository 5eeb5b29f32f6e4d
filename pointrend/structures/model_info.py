"""What a model says of itself: its name, its categories, its terms; the content of ``model.json``.

>>> info = ModelInfo("toys", "1.0", categories=(Category(1, "ball"),))
>>> ModelInfo.from_dict(info.to_dict()) == info
True
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pointrend.errors import ConfigError

LONGEST_TEXT = 10_000  # characters
LONGEST_NAME = 200  # of a category
MOST_CATEGORIES = 10_000  # as of MODEL.ROI_HEADS.NUM_CLASSES
LARGEST_ID = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Category:
    """What an instance may be: its id in the dataset (COCO's person is 1), and its name."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What a model says of itself, as ``model.json`` holds it.

    Attributes:
        name: of the model, such as ``pointrend-demo``.
        version: of its weights, such as ``0.1``.
        categories: in the order of the network's outputs.
        reliable: names of the categories that are shown by default; empty for all.
        description: one or two sentences.
        licence: on what terms the weights may be used.
        often_missed: names of categories that the model finds badly, for people to know.
    """

    name: str
    version: str
    categories: tuple[Category, ...]
    reliable: tuple[str, ...] = ()
    description: str = ""
    licence: str = ""
    often_missed: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> ModelInfo:
        """Read the content of ``model.json``.

        Raises:
            ConfigError: a field is missing or has the wrong type, a category comes twice, or ``reliable`` or
                ``often_missed`` names one that is none.
        """
        categories = tuple(_category(item) for item in _list(tree, "categories"))
        names = [category.name for category in categories]
        _refuse_repeated("name", names)
        _refuse_repeated("id", [category.id for category in categories])
        return cls(
            name=_text(tree, "name"),
            version=_text(tree, "version"),
            categories=categories,
            reliable=_names(tree, "reliable", names),
            often_missed=_names(tree, "often_missed", names),
            description=_text(tree, "description", default=""),
            licence=_text(tree, "licence", default=""),
        )

    def to_dict(self) -> dict[str, Any]:
        """The content of ``model.json``; :meth:`from_dict` reads it."""
        return {
            "name": self.name,
            "version": self.version,
            "description": self.description,
            "licence": self.licence,
            "categories": [{"id": category.id, "name": category.name} for category in self.categories],
            "reliable": list(self.reliable),
            "often_missed": list(self.often_missed),
        }


def _text(tree: Mapping[str, Any], key: str, default: str | None = None) -> str:
    value = tree.get(key, default)
    if not isinstance(value, str) or not (value or default is not None):
        raise ConfigError(f"{key} must be text, not {value!r:.100}.")
    if not _is_plain(value, LONGEST_TEXT):
        raise ConfigError(
            f"{key} must have at most {LONGEST_TEXT} characters, none of them a control character or half of a "
            f"surrogate pair; it has {len(value)}: {value!r:.100}."
        )
    return value


def _is_plain(text: str, longest: int) -> bool:
    """Whether a text can be shown in one place: neither control characters nor halves of surrogate pairs."""
    return len(text) <= longest and all(unicodedata.category(sign) not in ("Cc", "Cs") for sign in text if sign != "\n")


def _list(tree: Mapping[str, Any], key: str) -> list[Any]:
    value = tree.get(key)
    if not isinstance(value, list):
        raise ConfigError(f"{key} must be a list, not {value!r:.100}.")
    if len(value) > MOST_CATEGORIES:
        raise ConfigError(f"{key} must have at most {MOST_CATEGORIES} items, not {len(value)}.")
    return value


def _names(tree: Mapping[str, Any], key: str, known: Sequence[str]) -> tuple[str, ...]:
    """An optional list of categories' names."""
    names = _list(tree, key) if key in tree else []
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigError(f"{key} names {unknown[0]!r}, which is not among the categories.")
    return tuple(names)


def _refuse_repeated(kind: str, values: Sequence[object]) -> None:
    seen: set[object] = set()
    for value in values:
        if value in seen:
            raise ConfigError(f"categories has the {kind} {value!r} more than once.")
        seen.add(value)


def _category(item: Any) -> Category:
    number, name = (item.get("id"), item.get("name")) if isinstance(item, dict) else (None, None)
    if type(number) is not int or not isinstance(name, str) or not name or not _is_plain(name, LONGEST_NAME):
        raise ConfigError(
            f'a category must be like {{"id": 1, "name": "person"}}, its name of at most {LONGEST_NAME} characters, '
            f"not {item!r:.100}."
        )
    if not 0 <= number <= LARGEST_ID:
        raise ConfigError(f"a category's id must be from 0 to {LARGEST_ID}, not {item!r:.100}.")
    return Category(number, name)
