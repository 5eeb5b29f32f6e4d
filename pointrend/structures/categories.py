"""Which of a model's categories a caller asks for."""

from __future__ import annotations

from pointrend.errors import InvalidOption
from pointrend.structures.model_info import Category, ModelInfo
from pointrend.suggestions import suggest

ALL_CATEGORIES = "all"


def wanted_indices(info: ModelInfo, names_or_ids: tuple[str, ...] | None) -> list[int] | None:
    """Indices of the wanted categories, None for all. What is not asked for by name is hidden where it is unreliable.

    Raises:
        InvalidOption: the model knows no such category.
    """
    if names_or_ids == (ALL_CATEGORIES,) or (names_or_ids is None and not info.reliable):
        return None
    return [category_index(info.categories, key) for key in names_or_ids or info.reliable]


def category_index(categories: tuple[Category, ...], key: str, field: str = "categories") -> int:
    """The place of a category, by its name in any case or its id.

    Raises:
        InvalidOption: there is no such category; it names ``field``.
    """
    for index, category in enumerate(categories):
        if key.lower() == category.name.lower() or key == str(category.id):
            return index
    names = [category.name for category in categories]
    place = "" if field == "categories" else f"{field}: "
    hint = suggest(key.lower(), (name.lower() for name in names))
    raise InvalidOption(
        f"{place}This model knows no category {key!r}.{hint} It knows {', '.join(names)}.",
        field=field,
        limit=names,
        value=key,
        code="unknown_category",
    )
