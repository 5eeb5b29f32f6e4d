"""Which images a batch has, and which shard each belongs to: written down once, so that every later run means the same.

In the output folder::

    plan.json     what is made from what: input, model, options, form of the results, the images' digest
    images.jsonl  the images' paths within the input, one JSON string a line, in order
    report.jsonl  what failed and what was not read, written at the end of each run
    part-00000.parquet ...          one a shard
    part-00000.failed.jsonl ...     the shard's images that could not be read or predicted, where there are any

Before version 0.3 the images were in ``photos.txt``, a path a line; such a batch is still finished.

A shard is done when its part is there: it is put in place whole, and after all else of the shard.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import fsspec
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from pointrend.errors import PointRendError
from pointrend.images.suffixes import has_image_suffix
from pointrend.plain_text import escaped
from pointrend.predict.walk import NotRead, walk
from pointrend.system.outputs import check_folder

PLAN, IMAGES, REPORT = "plan.json", "images.jsonl", "report.jsonl"
FORMER_IMAGES = "photos.txt"
FORMS = {"parquet": ".parquet", "jsonl": ".jsonl"}


class BatchError(PointRendError):
    """A batch that cannot be begun or gone on with; one sentence says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchConfig:
    """What a batch makes from what; a run that goes on with it must ask for the same.

    Attributes:
        input: a folder, local or by any URL that fsspec reads (``s3://bucket/photos``).
        model: the model's name, or its folder, which every machine must have.
        version: the model's version.
        engine: what computes the model; never ``auto``, which may mean another one on another machine.
        options: what is asked of it, as :class:`~pointrend.structures.options.Options` spells it.
        form: ``parquet`` or ``jsonl``.
        shard_size: images in a shard: what a failure may cost to do again.
    """

    input: str
    model: str
    version: str
    engine: str
    options: dict[str, Any]
    form: str
    shard_size: int


@dataclass(frozen=True, slots=True)
class Shard:
    """Some images that are done together.

    Attributes:
        number: from 0.
        images: their paths within the input.
    """

    number: int
    images: tuple[str, ...]

    def part(self, form: str) -> str:
        """The name of the file with its results."""
        return f"part-{self.number:05d}{FORMS[form]}"

    @property
    def failures(self) -> str:
        """The name of the file with what failed."""
        return f"part-{self.number:05d}.failed.jsonl"


@dataclass(frozen=True, slots=True)
class Plan:
    """The images of a batch, in an order that does not change.

    Attributes:
        settings: of the batch.
        output: the folder of its results, local or a URL.
        images: their paths within the input.
        not_read: what else is in the input now.
    """

    settings: BatchConfig
    output: str
    images: tuple[str, ...]
    not_read: tuple[NotRead, ...] = field(default=(), compare=False)

    @classmethod
    def open(cls, settings: BatchConfig, output: str) -> Plan:
        """Go on with the plan in the output folder, or make one and write it there.

        Images that have come to the input since the plan was made are not in it; they are among what is not read.

        Raises:
            BatchError: the plan there is of another batch, is damaged, or the input holds no image.
            OutputError: the output folder cannot be written.
        """
        files, folder = url_to_fs(output)
        if (local := local_folder(output)) is not None:
            check_folder(local, "OUTPUT")
        if files.exists(f"{folder}/{PLAN}"):
            images = cls._read(files, folder, settings, output)
            try:
                now, not_read = _find(settings.input, output)
            except OSError as error:  # what is left may still be there
                return cls(settings, output, images, (NotRead(settings.input, f"cannot be listed: {error}", True),))
            reason = "added after the batch started; use a new output folder"
            planned = set(images)
            new = [NotRead(f"{settings.input}/{image}", reason, missed=True) for image in now if image not in planned]
            return cls(settings, output, images, (*new, *not_read))
        try:
            images, not_read = _find(settings.input, output)
        except OSError as error:
            raise BatchError(f"{escaped(settings.input)} cannot be read: {error}") from error
        if not images:
            first = next(iter(sorted(not_read, key=lambda each: not each.missed)), None)
            why = "" if first is None else f" Not read: {escaped(first.path)} ({escaped(first.reason)})."
            raise BatchError(f"{escaped(settings.input)} holds no image.{why}")
        text = "".join(json.dumps(image) + "\n" for image in images)
        files.makedirs(folder, exist_ok=True)
        put(output, IMAGES, text.encode())
        put(output, PLAN, json.dumps({**asdict(settings), "sha256": _digest(text)}, indent=2).encode())
        return cls(settings, output, images, not_read)

    @classmethod
    def _read(
        cls, files: fsspec.AbstractFileSystem, folder: str, settings: BatchConfig, output: str
    ) -> tuple[str, ...]:
        former = not files.exists(f"{folder}/{IMAGES}") and files.exists(f"{folder}/{FORMER_IMAGES}")
        name = FORMER_IMAGES if former else IMAGES
        try:
            tree = json.loads(files.cat_file(f"{folder}/{PLAN}"))
            text = files.cat_file(f"{folder}/{name}").decode()
            digest = tree.pop("sha256")
        except (OSError, ValueError, KeyError, AttributeError) as error:
            raise BatchError(f"The plan in {output} cannot be read: {error}") from error
        if digest != _digest(text):
            raise BatchError(f"{name} in {output} does not match its plan.")
        for key, value in json.loads(json.dumps(asdict(settings))).items():
            if tree.get(key) != value:
                raise BatchError(
                    f"{output} holds a batch with {key} {tree.get(key)!r}; {value!r} needs a folder of its own."
                )
        # A name may hold what splitlines() takes for the end of a line.
        lines = text.removesuffix("\n").split("\n")
        return tuple(lines if former else map(json.loads, lines))

    def shards(self) -> Iterator[Shard]:
        """All of them."""
        size = self.settings.shard_size
        for number, start in enumerate(range(0, len(self.images), size)):
            yield Shard(number, self.images[start : start + size])

    def left(self) -> list[Shard]:
        """Those that are not done."""
        there = self._there()
        return [shard for shard in self.shards() if shard.part(self.settings.form) not in there]

    def failure_files(self) -> set[str]:
        """Names of the files with what failed."""
        return {name for name in self._there() if name.endswith(".failed.jsonl")}

    def failures(self, shard: Shard) -> list[dict[str, Any]]:
        """What failed in a shard that is done: ``file_name``, ``code`` and ``message`` of each image.

        Raises:
            BatchError: the file is damaged.
        """
        files, folder = url_to_fs(self.output)
        try:
            lines = files.cat_file(f"{folder}/{shard.failures}").split(b"\n")
            return [json.loads(line) for line in lines if line]
        except (OSError, ValueError) as error:
            raise BatchError(f"{shard.failures} in {self.output} cannot be read: {error}") from error

    def _there(self) -> set[str]:
        """Names of the files in the output folder."""
        files, folder = url_to_fs(self.output)
        files.invalidate_cache()
        return {path.rsplit("/", 1)[-1] for path in files.ls(folder, detail=False)}


def local_folder(place: str) -> Path | None:
    """The folder of this machine that a place means; None for other URLs."""
    files, folder = url_to_fs(place)
    return Path(folder) if isinstance(files, LocalFileSystem) else None


def put(output: str, name: str, data: bytes) -> None:
    """Write a file of the output whole or not at all.

    An object store shows an object once it is complete; a file system shows a file as it grows, so that it is written
    under another name first.
    """
    files, folder = url_to_fs(output)
    if isinstance(files, LocalFileSystem):
        hidden = Path(folder, f".{name}.{uuid.uuid4().hex}")
        try:
            hidden.write_bytes(data)
            hidden.replace(Path(folder, name))
        except OSError:
            hidden.unlink(missing_ok=True)
            raise
    else:
        files.pipe_file(f"{folder}/{name}", data)


def _find(place: str, output: str) -> tuple[tuple[str, ...], tuple[NotRead, ...]]:
    """The input's images by their paths in it, and what else it holds; the output, where it is inside, is left out.

    Raises:
        OSError: the input cannot be listed.
    """
    files, folder = url_to_fs(place)
    output_files, output_folder = url_to_fs(output)
    if isinstance(files, LocalFileSystem):
        local = isinstance(output_files, LocalFileSystem)
        # Images may be in the output folder only where that is the input folder too.
        contents = walk(Path(folder), outside=[Path(output_folder)] if local else [])
        images = (os.path.relpath(path, folder) for path in contents.images)
        same = local and os.path.realpath(folder) == os.path.realpath(output_folder)
        not_read = (each for each in contents.not_read if not (same and _is_own(each.path, folder)))
        return tuple(sorted(images)), tuple(not_read)
    start = folder.rstrip("/") + "/"
    within = f"{output_folder.rstrip('/')}/" if type(files) is type(output_files) else None
    found, left = [], []
    for path in files.find(folder):
        if within is not None and path.startswith(within) and (within != start or _is_own(path, folder)):
            continue
        name = path.removeprefix(start)
        if has_image_suffix(name):
            found.append(name)
        else:
            left.append(NotRead(f"{place.rstrip('/')}/{name}", "not an image by its suffix"))
    return tuple(sorted(found)), tuple(left)


def _is_own(path: str, folder: str) -> bool:
    """Whether a file directly in the output folder is one of the batch's own."""
    within, _, name = path.rpartition("/")
    known = (PLAN, IMAGES, FORMER_IMAGES, REPORT)
    return within == folder.rstrip("/") and (name in known or name.startswith("part-"))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
