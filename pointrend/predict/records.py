"""What is remembered of an image that is done, so that a run that was interrupted goes on where it was.

A record is a JSON file under ``predictions/``: the prediction, what it was made from, how a person corrected it, and
the formats that hold it. It is written after all else of its image, so that what it says is there is complete.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pointrend.errors import PointRendError
from pointrend.predict.files import write_file
from pointrend.predict.images import ImageFile
from pointrend.structures.corrections import Delete, Merge, Rename, Split, from_tree, replay, to_tree
from pointrend.structures.options import OptionKeywords
from pointrend.structures.prediction import Prediction

FOLDER = "predictions"
"""In the output folder; it also holds the list of names (:mod:`pointrend.predict.names`) and the report."""


Step = tuple[Delete | Rename | Merge | Split, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """An image that is done.

    Attributes:
        prediction: what was found.
        saved: names of the formats that hold it, as it is corrected.
        steps: the corrections, those of a call at once.
        pending: names of the formats that hold it without the latest corrections.
    """

    prediction: Prediction
    saved: frozenset[str]
    steps: tuple[Step, ...] = ()
    pending: frozenset[str] = frozenset()

    @property
    def corrected(self) -> Prediction:
        """What was found, as it is corrected.

        Raises:
            InvalidRequest: the corrections do not fit it.
        """
        return replay(self.prediction, self.steps)

    def to_dict(self) -> dict[str, Any]:
        """The record as its file holds it, without what it was made from."""
        tree: dict[str, Any] = {"saved": sorted(self.saved), "prediction": self.prediction.to_dict()}
        if self.steps:
            tree["corrections"] = [[to_tree(each) for each in step] for step in self.steps]
        if self.pending:
            tree["pending"] = sorted(self.pending)
        return tree

    @classmethod
    def from_dict(cls, tree: dict[str, Any]) -> Record:
        """Read what :meth:`to_dict` wrote.

        Raises:
            PointRendError, KeyError, TypeError: it is damaged.
        """
        steps = tuple(tuple(map(from_tree, step)) for step in tree.get("corrections", ()))
        prediction = Prediction.from_dict(tree["prediction"])
        record = cls(prediction, frozenset(tree["saved"]), steps, frozenset(tree.get("pending", ())))
        replay(prediction, steps)
        return record


@dataclass(frozen=True, slots=True)
class Records:
    """The records of one run.

    Attributes:
        out: the folder of all results.
        model: name, version and engine of the model that predicts.
        options: what it is asked, as :class:`~pointrend.structures.options.Options` spells it.
    """

    out: Path
    model: dict[str, str]
    options: OptionKeywords

    def find(self, image: ImageFile) -> Record | None:
        """The record of an image that is done: the same file, model, engine and options; else None."""
        try:
            tree = json.loads(self._path(image).read_text())
            if tree["made_from"] == self._made_from(image):
                return Record.from_dict(tree)
        except (OSError, ValueError, KeyError, TypeError, PointRendError):
            pass  # nothing there, or not ours: the image is predicted anew
        return None

    def holds(self, image: ImageFile) -> bool:
        """Whether there is a record of this image, of whatever state, model and options."""
        try:
            return bool(json.loads(self._path(image).read_bytes())["made_from"]["photo"] == str(image.path))
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def is_corrected(self, image: ImageFile) -> bool:
        """Whether a person corrected this image's result, of whatever state, model and options."""
        try:
            tree = json.loads(self._path(image).read_bytes())
            return bool(tree["made_from"]["photo"] == str(image.path) and tree.get("corrections"))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return False

    def write(self, image: ImageFile, record: Record) -> None:
        """Remember that an image is done.

        Raises:
            OSError: the folder cannot be written.
        """
        tree = {"made_from": self._made_from(image), **record.to_dict()}
        write_file(self._path(image), json.dumps(tree))

    def _path(self, image: ImageFile) -> Path:
        return self.out / FOLDER / f"{image.key}.json"

    def _made_from(self, image: ImageFile) -> dict[str, Any]:
        made_from = {"photo": str(image.path), "stamp": image.stamp, "model": self.model, "options": self.options}
        if image.given is not None:
            made_from["boxes"] = image.given.prompts
        again: dict[str, Any] = json.loads(json.dumps(made_from))  # as it is read: with lists for tuples
        return again
