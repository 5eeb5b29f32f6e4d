"""What is remembered of an image that is done, so that a run that was interrupted goes on where it was.

A record is a JSON file under ``predictions/``: the prediction, what it was made from, and the formats that hold it. It
is written after all else of its image, so that what it says is there is complete.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pointrend.predict.files import write_file
from pointrend.predict.images import ImageFile
from pointrend.structures.options import OptionKeywords
from pointrend.structures.prediction import Prediction

FOLDER = "predictions"
"""In the output folder; it also holds the list of names (:mod:`pointrend.predict.names`) and the report."""


@dataclass(frozen=True, slots=True)
class Record:
    """An image that is done.

    Attributes:
        prediction: what was found.
        saved: names of the formats that hold it.
    """

    prediction: Prediction
    saved: frozenset[str]


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
            record = json.loads(self._path(image).read_text())
            if record["made_from"] == self._made_from(image):
                return Record(Prediction.from_dict(record["prediction"]), frozenset(record["saved"]))
        except (OSError, ValueError, KeyError, TypeError):
            pass  # nothing there, or not ours: the image is predicted anew
        return None

    def holds(self, image: ImageFile) -> bool:
        """Whether there is a record of this image, of whatever state, model and options."""
        try:
            return bool(json.loads(self._path(image).read_bytes())["made_from"]["photo"] == str(image.path))
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def write(self, image: ImageFile, record: Record) -> None:
        """Remember that an image is done.

        Raises:
            OSError: the folder cannot be written.
        """
        tree = {
            "made_from": self._made_from(image),
            "saved": sorted(record.saved),
            "prediction": record.prediction.to_dict(),
        }
        write_file(self._path(image), json.dumps(tree))

    def _path(self, image: ImageFile) -> Path:
        return self.out / FOLDER / f"{image.key}.json"

    def _made_from(self, image: ImageFile) -> dict[str, Any]:
        made_from = {"photo": str(image.path), "stamp": image.stamp, "model": self.model, "options": self.options}
        if image.given is not None:
            made_from["boxes"] = image.given.prompts
        again: dict[str, Any] = json.loads(json.dumps(made_from))  # as it is read: with lists for tuples
        return again
