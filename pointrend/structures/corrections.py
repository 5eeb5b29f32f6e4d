"""What a person changes in a result before it is exported: objects added, deleted, renamed, merged, split.

A correction names objects by their places in the prediction that it is applied to. :func:`correct` is pure: what was
detected and the list of corrections are all that has to be kept, and leaving out the last one undoes it.

Deleted, merged and split objects are replaced where they were, so that the order stays as it is: by descending score.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

from pointrend.errors import InvalidPrediction, InvalidRequest
from pointrend.structures.correction_masks import merged, split_parts
from pointrend.structures.labels import instance_labels
from pointrend.structures.model_info import Category
from pointrend.structures.prediction import Instance, Prediction
from pointrend.structures.prediction_checks import brief, check_list, check_object, check_text, check_whole

MOST_NAMED = 1000
"""Objects that one correction may name."""


@dataclass(frozen=True, slots=True)
class Add:
    """Objects that were found otherwise, such as in a box that somebody drew; they come last.

    Attributes:
        instances: of the same image.
    """

    instances: tuple[Instance, ...]


@dataclass(frozen=True, slots=True)
class Delete:
    """Leave objects out.

    Attributes:
        places: of the objects, from 0; one at least.
    """

    places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Rename:
    """Give objects another category.

    Attributes:
        places: of the objects, from 0; one at least.
        category: the new one.
    """

    places: tuple[int, ...]
    category: Category


@dataclass(frozen=True, slots=True)
class Merge:
    """Make one object of several, see :func:`~pointrend.structures.correction_masks.merged`.

    Attributes:
        places: of the objects, from 0; two at least.
    """

    places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Split:
    """Make an object of each connected part, see :func:`~pointrend.structures.correction_masks.split_parts`.

    Attributes:
        place: of the object, from 0.
    """

    place: int


Correction = Add | Delete | Rename | Merge | Split


@dataclass(frozen=True, slots=True)
class Corrected:
    """A prediction after corrections.

    Attributes:
        prediction: the new one.
        origins: of each of its instances, the place of the (best) object that it comes from; None of an added one.
    """

    prediction: Prediction
    origins: tuple[int | None, ...]


def correct(prediction: Prediction, corrections: Iterable[Correction]) -> Corrected:
    """Apply corrections at once: all of them name objects of ``prediction``, and each object is in one at most.

    >>> ball = Instance(1, "ball", 0.9, (0.0, 0.0, 9.0, 9.0), None, None)
    >>> found = Prediction(99, 99, (ball, ball), {}, task="detection")
    >>> done = correct(found, [Rename((0,), Category(2, "moon")), Delete((1,))])
    >>> [each.category for each in done.prediction.instances], done.origins
    (['moon'], (0,))

    Raises:
        InvalidRequest: an object is not there, is named twice, or cannot be split; or the prediction is semantic.
    """
    if prediction.task == "semantic":
        raise InvalidRequest(
            "task is semantic: its segments are no single objects, and cannot be corrected. Predict with "
            "task=instances or task=detection.",
            field="task",
            value="semantic",
        )
    labels = instance_labels(prediction)
    size = prediction.height, prediction.width
    slots: list[tuple[Instance, ...]] = [(instance,) for instance in prediction.instances]
    added: list[Instance] = []
    named: set[int] = set()
    for correction in corrections:
        if isinstance(correction, Add):
            added.extend(correction.instances)
            continue
        places = (correction.place,) if isinstance(correction, Split) else correction.places
        _check_places(type(correction).__name__.lower(), places, labels, named)
        instances = [prediction.instances[place] for place in places]
        if isinstance(correction, Delete):
            changed: list[tuple[Instance, ...]] = [()] * len(places)
        elif isinstance(correction, Rename):
            category = correction.category
            changed = [(replace(each, category_id=category.id, category=category.name),) for each in instances]
        elif isinstance(correction, Merge):
            best = max(range(len(places)), key=lambda index: (instances[index].score, -places[index]))
            one = merged([instances[best], *instances[:best], *instances[best + 1 :]], size)
            changed = [(one,) if index == best else () for index in range(len(places))]
        else:
            changed = [split_parts(instances[0], size, labels[places[0]])]
        for place, instance in zip(places, changed, strict=True):
            slots[place] = instance
    found = tuple(instance for slot in slots for instance in slot) + tuple(added)
    origins = tuple(place for place, slot in enumerate(slots) for _ in slot) + (None,) * len(added)
    return Corrected(replace(prediction, instances=found), origins)


def replay(prediction: Prediction, steps: Iterable[Sequence[Correction]]) -> Prediction:
    """Apply steps of corrections in order, each to what the one before has left.

    Raises:
        InvalidRequest: as in :func:`correct`.
    """
    return reduce(lambda before, step: correct(before, step).prediction, steps, prediction)


def _check_places(name: str, places: Sequence[int], labels: Sequence[str], named: set[int]) -> None:
    """Check what a correction names, and remember it in ``named``."""
    least = 2 if name == "merge" else 1
    if len(places) < least:
        raise InvalidRequest(
            f"{name} needs {'two objects' if least == 2 else 'an object'} or more, not {len(places)}.",
            field=name,
            limit=least,
            value=len(places),
        )
    for place in places:
        if not 0 <= place < len(labels):
            raise InvalidRequest(
                f"{name} names object {place}, but there are {len(labels)}, counted from 0.",
                field=name,
                limit=len(labels),
                value=place,
            )
        if place in named:
            raise InvalidRequest(
                f"{name} names {labels[place]!r}, which is named twice: make one correction after the other.",
                field=name,
                value=labels[place],
            )
        named.add(place)


def to_tree(correction: Delete | Rename | Merge | Split) -> dict[str, Any]:
    """A correction as JSON has it, such as ``{"merge": [0, 2]}``; :func:`from_tree` reads it."""
    if isinstance(correction, Split):
        return {"split": correction.place}
    tree: dict[str, Any] = {type(correction).__name__.lower(): list(correction.places)}
    if isinstance(correction, Rename):
        tree |= {"category_id": correction.category.id, "category": correction.category.name}
    return tree


def from_tree(tree: Any) -> Delete | Rename | Merge | Split:
    """Read a correction from anybody; whether its objects are there is checked by :func:`correct`.

    Raises:
        InvalidPrediction: it is none; names the field.
    """
    found = check_object(tree, "the correction")
    if "split" in found:
        return Split(check_whole(found["split"], "split"))
    if "rename" in found:
        identity = check_whole(found.get("category_id"), "category_id")
        category = Category(identity, check_text(found.get("category"), "category"))
        return Rename(_read_places(found, "rename"), category)
    if "delete" in found:
        return Delete(_read_places(found, "delete"))
    if "merge" in found:
        return Merge(_read_places(found, "merge"))
    raise InvalidPrediction("the correction", f"must be delete, rename, merge or split, not {brief(found)}")


def _read_places(tree: dict[str, Any], name: str) -> tuple[int, ...]:
    places = check_list(tree[name], name, MOST_NAMED)
    return tuple(check_whole(place, f"{name}[{index}]") for index, place in enumerate(places))
