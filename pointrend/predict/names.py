"""What an image's results are called: names that cannot collide, and that stay what they are in an output folder.

A name is the first of these that no other result has or could have, with ``in/cat.png`` as the example:

1. the image's path without its suffix: ``cat``;
2. the path with an underscore for the suffix's dot: ``cat_png``;
3. directly in the format's folder, the file's name and the beginning of a hash of its absolute path: ``cat-1f0e9a3b``.

Names are compared without case and in Unicode's composed form, since some file systems do not tell such names apart. A
name must also be no folder of other images' results, as ``cat`` is beside ``cat/1.png``, must not look like a file of
them (``cat.json``), and leaves room for a suffix within the 255 bytes that a file name may have; one that is too long
is cut. Names that were given are kept in ``predictions/names.jsonl``, one JSON object a line, so that neither other
images in a later run nor a change of these rules gives a finished image another name, or its name to another image.
"""

from __future__ import annotations

import hashlib
import json
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from pointrend.errors import PointRendError
from pointrend.images.formats import SUFFIXES
from pointrend.images.suffixes import has_image_suffix
from pointrend.plain_text import escaped
from pointrend.predict.files import write_file
from pointrend.predict.images import ImageFile

NAMES, REPORT = "names.jsonl", "report.jsonl"
# Endings of files beside which an image's own must not come to lie, whichever format writes them.
ENDINGS = tuple(dict.fromkeys((*SUFFIXES, ".json", ".jsonl", ".txt", ".csv", ".xml", ".yaml", ".partial")))
LONGEST = 255
"""Bytes of a file name on the usual file systems."""
_ROOM = 16  # for a suffix; a longer one is no suffix
_HASH = 8  # digits, and as many more each time that is not enough
_RANKS = 2 + 64 // _HASH


class NamesError(PointRendError):
    """The list of names of an output folder that cannot be used."""


def split_suffix(file_name: str) -> tuple[str, str]:
    """A file's name without its suffix, and the suffix, which may be empty: ``("cat", ".png")``."""
    stem, suffix = os.path.splitext(file_name)  # noqa: PTH122  # of a name, not a path
    return (file_name, "") if len(os.fsencode(suffix)) > _ROOM or suffix == "." else (stem, suffix)


@dataclass(slots=True)
class ResultNames:
    """The names of one output folder.

    Attributes:
        folder: where their list is.
        given: names by the images' absolute paths.
        changed: whether some are not in the list yet.
    """

    folder: Path
    given: dict[str, str] = field(default_factory=dict)
    changed: bool = False

    @classmethod
    def open(cls, folder: Path) -> ResultNames:
        """Read the names that earlier runs gave.

        Raises:
            NamesError: the list is damaged or cannot be read.
        """
        path = folder / NAMES
        try:
            text = path.read_bytes().decode("ascii")
        except FileNotFoundError:
            return cls(folder)
        except (OSError, ValueError) as error:
            raise NamesError(f"{escaped(str(path))} cannot be read: {error}.") from error
        given: dict[str, str] = {}
        for number, line in enumerate(text.splitlines(), start=1):
            try:
                tree = json.loads(line)
                given[tree["image"]] = tree["name"]
            except (ValueError, KeyError, TypeError) as error:
                raise NamesError(
                    f"Line {number} of {escaped(str(path))} is damaged. Use another output folder, or repair "
                    "the file: it maps images to results."
                ) from error
        return cls(folder, given)

    def save(self) -> None:
        """Write the names that are new; called before the first result is.

        Raises:
            OSError: the list cannot be written.
        """
        if self.changed:
            lines = (json.dumps({"image": image, "name": name}) + "\n" for image, name in self.given.items())
            write_file(self.folder / NAMES, "".join(lines))
            self.changed = False

    def assign(
        self, images: Iterable[ImageFile], taken: Callable[[ImageFile, str], bool] = lambda _image, _key: False
    ) -> list[ImageFile]:
        """Give each image its name as its ``key``.

        Args:
            images: with different paths.
            taken: whether there is something of this name that is not the image's result.
        """
        images = list(images)
        new = [image for image in images if str(image.path) not in self.given]
        ranks = dict.fromkeys(new, 0)
        keys: dict[ImageFile, str] = {}
        again = new
        known = _Names([*self.given.values(), *(f"{name}" for name in (NAMES, REPORT))])
        while again:
            for image in again:
                keys[image] = self._free(image, ranks, taken)
            fresh = _Names(keys.values())
            again = [image for image in new if known.holds(keys[image], image) or fresh.clashes(keys[image], image)]
            for image in again:
                ranks[image] += 1
        for image in new:
            self.given[str(image.path)] = keys[image]
            self.changed = True
        return [replace(image, key=self.given[str(image.path)]) for image in images]

    @staticmethod
    def _free(image: ImageFile, ranks: dict[ImageFile, int], taken: Callable[[ImageFile, str], bool]) -> str:
        """The image's first name, from its rank on, that is in order by itself and not taken."""
        while ranks[image] < _RANKS:
            key = _candidate(image, ranks[image])
            if key is not None and not taken(image, key):
                return key
            ranks[image] += 1
        raise NamesError(
            f"There is no free name for the results of {escaped(str(image.path))}. Empty the output folder."
        )


class _Names:
    """Names to compare with."""

    def __init__(self, keys: Iterable[str]) -> None:
        self.leaves = Counter(_folded(key) for key in keys)
        self.folders = {folder for leaf in self.leaves for folder in _above(leaf)}

    def clashes(self, key: str, image: ImageFile) -> bool:
        """Whether one of these names, itself among them, is also another's or the folder of others."""
        leaf = _folded(key)
        return self.leaves[leaf] > 1 or self._is_folder(leaf, image)

    def holds(self, key: str, image: ImageFile) -> bool:
        """Whether a further name is one of these, a folder of them, or would lie in what is theirs."""
        leaf = _folded(key)
        return leaf in self.leaves or self._is_folder(leaf, image) or any(map(self._is_a_result, _above(leaf)))

    def _is_folder(self, leaf: str, image: ImageFile) -> bool:
        own = split_suffix(image.path.name)[1].lower()
        return any(leaf + ending in self.folders for ending in ("", own, *ENDINGS))

    def _is_a_result(self, folder: str) -> bool:
        endings = (ending for ending in ("", *ENDINGS) if folder.endswith(ending))
        return any(folder[: len(folder) - len(ending)] in self.leaves for ending in endings)


def _candidate(image: ImageFile, rank: int) -> str | None:
    """An image's name of a rank, from 0; None where it has no good one."""
    folder, _, file_name = image.file_name.rpartition("/")
    stem, suffix = split_suffix(file_name)
    if rank >= 2:
        digest = hashlib.sha256(os.fsencode(image.path)).hexdigest()
        return f"{_cut(stem, LONGEST - _ROOM - 1 - len(digest))}-{digest[: _HASH * (rank - 1)]}"
    leaf = stem if rank == 0 else f"{stem}_{suffix[1:]}"
    too_long = len(os.fsencode(leaf)) > LONGEST - _ROOM
    hidden_end = leaf.lower().endswith((*ENDINGS, ".", " ")) or has_image_suffix(leaf)
    if too_long or hidden_end or not leaf or (rank == 1 and not suffix):
        return None
    return f"{folder}/{leaf}" if folder else leaf


def _cut(text: str, most: int) -> str:
    """The beginning of a text, of at most ``most`` bytes as a file name."""
    while len(os.fsencode(text)) > most:
        text = text[:-1]
    return text


def _folded(key: str) -> str:
    """What two names have in common that some file system does not tell apart."""
    parts = unicodedata.normalize("NFC", unicodedata.normalize("NFD", key).casefold()).split("/")
    return "/".join(part.rstrip(". ") or part for part in parts)


def _above(key: str) -> list[str]:
    """The folders that a name lies in."""
    parts = key.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]
