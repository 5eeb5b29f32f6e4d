"""What an output folder says of the runs in it, so that its files can be written again without a model.

``predictions/run.jsonl`` has a line for each model that predicted there, ``{"model": ..., "categories": ...}``, and for
each format whose files hold all images, and each image of the run that wrote them, in order, ``{"format": ...,
"image": ..., "file_name": ...}``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pointrend.errors import OutputError
from pointrend.plain_text import escaped
from pointrend.predict.files import write_file
from pointrend.predict.images import ImageFile

MANIFEST = "run.jsonl"  # no image's record is called so, as records end in .json


@dataclass(slots=True)
class Manifest:
    """The manifest of one output folder.

    Attributes:
        folder: where it is.
        categories: of each model, by its name, version and engine as JSON.
        shared: of each format whose files hold all images, the paths of those images and their names there.
    """

    folder: Path
    categories: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    shared: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    _text: str = ""

    @classmethod
    def open(cls, folder: Path) -> Manifest:
        """Read it; empty where there is none, as in a folder of an earlier version.

        Raises:
            OutputError: it is damaged or cannot be read.
        """
        path = folder / MANIFEST
        found = cls(folder)
        try:
            found._text = path.read_bytes().decode("ascii")
            for line in found._text.splitlines():
                tree = json.loads(line)
                if "model" in tree:
                    found.categories[_key(tree["model"])] = tree["categories"]
                else:
                    found.shared.setdefault(tree["format"], []).append((tree["image"], tree["file_name"]))
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise OutputError(
                f"{escaped(str(path))} cannot be read: {error}. Delete it and run pointrend predict again, which "
                "writes it and predicts nothing twice."
            ) from error
        return found

    def categories_of(self, model: dict[str, str]) -> list[dict[str, Any]] | None:
        """All that a model knows, ``{"id": ..., "name": ...}``; None of a model that did not predict here."""
        return self.categories.get(_key(model))

    def tell(self, model: dict[str, str], categories: Sequence[dict[str, Any]]) -> None:
        """Remember what a model knows."""
        self.categories[_key(model)] = [{"id": each["id"], "name": each["name"]} for each in categories]

    def share(self, name: str, images: Iterable[ImageFile]) -> None:
        """Remember the images of a run that wrote a format's shared files, those that failed among them."""
        self.shared[name] = [(str(image.path), image.file_name) for image in images]

    def save(self) -> None:
        """Write what is new.

        Raises:
            OSError: it cannot be written.
        """
        trees: list[dict[str, Any]] = [
            {"model": json.loads(model), "categories": known} for model, known in self.categories.items()
        ]
        for name, images in self.shared.items():
            trees += [{"format": name, "image": path, "file_name": file_name} for path, file_name in images]
        text = "".join(json.dumps(tree) + "\n" for tree in trees)
        if text != self._text:
            write_file(self.folder / MANIFEST, text)
            self._text = text


def _key(model: dict[str, str]) -> str:
    return json.dumps(model, sort_keys=True)
