"""Corrects the result of an image in an output folder of ``pointrend predict``, and writes its files again.

The record keeps what was predicted beside the corrections, so that they can be undone, and so that a later run of
``predict`` keeps them. No model is needed: what the run knew is in the folder (:mod:`pointrend.predict.manifest`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pointrend.errors import PointRendError
from pointrend.masks.alpha import SOFT
from pointrend.plain_text import escaped
from pointrend.predict.images import ImageFile
from pointrend.predict.manifest import Manifest
from pointrend.predict.names import ResultNames
from pointrend.predict.records import FOLDER, Record, Records, Step
from pointrend.predict.saving import SAVERS, ImageResult
from pointrend.predict.summary import listed
from pointrend.predict.writing import draws, read_pixels, write_formats, write_shared
from pointrend.structures.correction_masks import count_parts
from pointrend.structures.corrections import correct
from pointrend.structures.labels import instance_labels
from pointrend.structures.model_info import Category
from pointrend.structures.prediction import Instance, Prediction
from pointrend.structures.prediction_checks import MAX_INSTANCES
from pointrend.suggestions import suggest
from pointrend.system.run_lock import locked

_AGAIN = "Run pointrend predict again, with the same arguments as before"


class CorrectError(PointRendError):
    """A result that cannot be corrected, or is not there."""


@dataclass(frozen=True, slots=True)
class ListedObject:
    """An object as the command line lists it.

    Attributes:
        label: its name, as on the overlay.
        instance: what was found.
        parts: the objects that splitting it would make; None without a mask.
    """

    label: str
    instance: Instance
    parts: int | None


@dataclass(frozen=True, slots=True)
class StoredResult:
    """The result of an image in an output folder.

    Attributes:
        out: the folder.
        image: as it was predicted, with the result's name.
        record: what was found and how it was corrected.
        made_from: the image, the model and the options, as the record has them.
        manifest: of the folder.
    """

    out: Path
    image: ImageFile
    record: Record
    made_from: dict[str, Any]
    manifest: Manifest

    @classmethod
    def find(cls, out: Path, name: str) -> StoredResult:
        """Find a result.

        Args:
            out: an output folder of ``pointrend predict``.
            name: the image's path or file name, or its result's name (``cat`` of ``labelme/cat.json``).

        Raises:
            CorrectError: there is no such folder or result, or several results fit; they are named.
            OutputError, NamesError: a file of the folder is damaged.
        """
        if not (out / FOLDER).is_dir():
            raise CorrectError(
                f"OUT: {escaped(str(out))} has no folder {FOLDER}: name an output folder of pointrend predict."
            )
        names = ResultNames.open(out / FOLDER)
        path = _named(name, names.given)
        return cls._read(out, path, names.given[path], Manifest.open(out / FOLDER))

    @classmethod
    def _read(cls, out: Path, path: str, key: str, manifest: Manifest) -> StoredResult:
        place = out / FOLDER / f"{key}.json"
        try:
            tree = json.loads(place.read_bytes())
            made_from = tree["made_from"]
            image = ImageFile(Path(path), Path(path).name, tuple(made_from["stamp"]), key)
            record = Record.from_dict(tree)
        except FileNotFoundError as error:
            raise CorrectError(f"{escaped(path)} has no result yet. {_AGAIN}.") from error
        except (OSError, ValueError, KeyError, TypeError, PointRendError) as error:
            raise CorrectError(f"{escaped(str(place))} cannot be read: {error}. {_AGAIN}.") from error
        if record.prediction.task == "semantic":
            raise CorrectError(
                f"{escaped(key)} was predicted with task=semantic: its segments are no single objects, and cannot be "
                "corrected."
            )
        return cls(out, image, record, made_from, manifest)

    @property
    def prediction(self) -> Prediction:
        """The result as it is corrected."""
        return self.record.corrected

    def objects(self) -> Iterator[ListedObject]:
        """Its objects, in their order."""
        prediction = self.prediction
        size = prediction.height, prediction.width
        for label, instance in zip(instance_labels(prediction), prediction.instances, strict=True):
            yield ListedObject(label, instance, count_parts(instance, size))

    def categories(self) -> tuple[Category, ...]:
        """All that its model knows.

        Raises:
            CorrectError: an older version predicted it, which did not keep them.
        """
        known = self.manifest.categories_of(self.made_from["model"])
        if known is None:
            raise CorrectError(
                f"{escaped(str(self.out))} does not tell what categories the model of {escaped(self.image.key)} knows, "
                f"as an older version wrote it. {_AGAIN}: it writes them and predicts nothing twice."
            )
        return tuple(Category(each["id"], each["name"]) for each in known)

    def corrected(self, step: Step) -> StoredResult:
        """The same with further corrections, applied at once.

        Raises:
            CorrectError: it cannot be corrected, or would have too many objects.
            InvalidRequest: as :func:`pointrend.structures.corrections.correct`.
        """
        found = len(correct(self.prediction, step).prediction.instances)
        if found > MAX_INSTANCES:
            raise CorrectError(
                f"{escaped(self.image.key)} would have {found} objects; a result has at most {MAX_INSTANCES}. Delete "
                "some first, or split fewer."
            )
        return self._with_steps((*self.record.steps, step))

    def undone(self) -> StoredResult:
        """The same without the latest corrections.

        Raises:
            CorrectError: there are none.
        """
        if not self.record.steps:
            raise CorrectError(f"--undo: {escaped(self.image.key)} has no corrections to undo.")
        return self._with_steps(self.record.steps[:-1])

    def _with_steps(self, steps: tuple[Step, ...]) -> StoredResult:
        if "boxes" in self.made_from:
            raise CorrectError(
                f"{escaped(self.image.key)} has a mask for each box of the file of --boxes, one for one. Correct the "
                "boxes there and run pointrend predict again."
            )
        stale = self.record.saved | self.record.pending
        return replace(self, record=replace(self.record, saved=frozenset(), pending=stale, steps=steps))

    def save(self) -> None:
        """Write the files of all formats again: the image's own, and those that it shares with others.

        If this is interrupted, the next correction or run of ``predict`` writes what is left.

        Raises:
            CorrectError: the image has changed since it was predicted.
            RequestError: a format draws on the image, which cannot be read.
            OSError: a file cannot be written.
        """
        image, record = self.image, self.record
        formats = record.pending & set(SAVERS)
        self._check_unchanged()
        categories = [{"id": each.id, "name": each.name} for each in self.categories()]
        if draws(formats):
            read_pixels(image, record.prediction)  # before anything is written
        options = self.made_from["options"]
        records = Records(self.out, self.made_from["model"], options)
        records.write(image, record)
        alpha = options.get("alpha", SOFT)
        write_formats(image, record.corrected, formats, categories, alpha, self.out)
        records.write(image, replace(record, saved=formats, pending=frozenset()))
        for name in sorted(formats & set(self.manifest.shared)):
            write_shared(name, list(self._sharing(name, categories)), categories, self.out)

    def _sharing(self, name: str, categories: list[dict[str, Any]]) -> Iterator[tuple[int, ImageResult]]:
        """The results that share a format's files, with their numbers."""
        keys = ResultNames.open(self.out / FOLDER).given
        for number, (path, file_name) in enumerate(self.manifest.shared[name], start=1):
            try:
                other = StoredResult._read(self.out, path, keys[path], self.manifest)
            except (CorrectError, KeyError):
                continue  # it failed, then and since
            if name in other.record.saved | other.record.pending and "boxes" not in other.made_from:
                image = replace(other.image, file_name=file_name)
                yield number, ImageResult(image, other.prediction, categories)

    def _check_unchanged(self) -> None:
        """An image that has changed would be predicted anew, and the corrections lost; one that is gone may be."""
        try:
            state = self.image.path.stat()
        except OSError:
            return
        if (state.st_size, state.st_mtime_ns) != self.image.stamp:
            raise CorrectError(f"{escaped(str(self.image.path))} has changed since it was predicted. {_AGAIN}, first.")


def correct_result(out: Path, name: str, *, step: Step = (), undo: bool = False) -> StoredResult:
    """Correct a result, or undo its latest corrections, and write its files again.

    Args:
        out, name: as in :meth:`StoredResult.find`.
        step: corrections, applied at once.
        undo: drop the latest ones instead.

    Raises:
        OutputError: a run is going on in the folder, or it cannot be written.
        CorrectError, InvalidRequest, RequestError, OSError: as the methods of :class:`StoredResult`.
    """
    StoredResult.find(out, name)  # before the lock, which would make the folder
    with locked(out, "OUT"):
        found = StoredResult.find(out, name)
        found = found.undone() if undo else found.corrected(step)
        found.save()
    return StoredResult.find(out, name)


def _named(name: str, given: dict[str, str]) -> str:
    """The path of the one image that a name means."""
    path = str(Path(name).absolute())
    if path in given:
        return path
    fitting = [each for each, key in given.items() if name == key]
    if not fitting:
        fitting = [each for each in given if name in (Path(each).name, Path(each).stem)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        known = listed([escaped(given[each]) for each in fitting])
        raise CorrectError(f"IMAGE: {escaped(name)} fits {len(fitting)} results: {known}. Name one of them.")
    hint = suggest(name, [*given.values(), *(Path(each).name for each in given)])
    known = listed([escaped(key) for key in given.values()])
    raise CorrectError(f"IMAGE: there is no result of {escaped(name)}.{hint} There are: {known or 'none'}.")
