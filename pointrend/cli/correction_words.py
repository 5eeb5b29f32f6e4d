"""Corrections as they are written on the command line: ``person 2``, ``dog 1=cat``, ``car 1+car 2``."""

from __future__ import annotations

from collections.abc import Sequence

from pointrend.errors import InvalidOption
from pointrend.predict.records import Step
from pointrend.structures.categories import category_index
from pointrend.structures.corrections import Delete, Merge, Rename, Split
from pointrend.structures.model_info import Category
from pointrend.suggestions import suggest


def read_corrections(
    labels: Sequence[str],
    categories: tuple[Category, ...],
    *,
    delete: Sequence[str] = (),
    rename: Sequence[str] = (),
    merge: Sequence[str] = (),
    split: Sequence[str] = (),
) -> Step:
    """Read corrections.

    >>> read_corrections(["dog 1", "dog 2"], (Category(17, "cat"),), delete=["dog 2"], rename=["dog 1=cat"])
    (Delete(places=(1,)), Rename(places=(0,), category=Category(id=17, name='cat')))

    Args:
        labels: of the objects, as :func:`pointrend.structures.labels.instance_labels` gives them.
        categories: all that the model knows.
        delete, split: a label each.
        rename: a label, ``=`` and the name or id of a category each.
        merge: labels with ``+`` between them, two or more each.

    Raises:
        InvalidOption: a label or category is unknown, or one is missing.
    """
    objects = _Objects(labels)
    step: list[Delete | Rename | Merge | Split] = [Delete((objects.place("--delete", text),)) for text in delete]
    for text in rename:
        label, equals, name = text.rpartition("=")
        if not equals or not name.strip():
            raise InvalidOption(
                f"--rename: {text!r} names no new category: write the object, = and the category, such as 'dog 1=cat'.",
                field="--rename",
                value=text,
            )
        place = objects.place("--rename", label)
        step.append(Rename((place,), categories[category_index(categories, name.strip(), "--rename")]))
    step += [Merge(objects.places("--merge", text)) for text in merge]
    step += [Split(objects.place("--split", text)) for text in split]
    return tuple(step)


class _Objects:
    """The objects by their labels, whatever their case and spaces."""

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = labels
        self._places = {_folded(label): place for place, label in enumerate(labels)}

    def place(self, option: str, text: str) -> int:
        """The place of an object."""
        folded = _folded(text)
        if folded in self._places:
            return self._places[folded]
        hint = suggest(folded, self._places)
        known = ", ".join(self.labels) if self.labels else "none"
        raise InvalidOption(
            f"{option}: there is no object {text.strip()!r}.{hint} The objects are: {known}.",
            field=option,
            limit=list(self.labels),
            value=text,
        )

    def places(self, option: str, text: str) -> tuple[int, ...]:
        """The places of objects with ``+`` between them; a category's name may hold one itself."""
        pieces = text.split("+")
        found: list[int] = []
        while pieces:
            fitting = (n for n in range(len(pieces), 0, -1) if _folded("+".join(pieces[:n])) in self._places)
            length = next(fitting, 1)
            found.append(self.place(option, "+".join(pieces[:length])))
            del pieces[:length]
        if len(found) < 2:
            raise InvalidOption(
                f"{option}: {text!r} names one object: write two or more with + between them, such as 'car 1+car 2'.",
                field=option,
                limit=2,
                value=text,
            )
        return tuple(found)


def _folded(label: str) -> str:
    return " ".join(label.split()).casefold()
