"""Which images a batch has, and which shard each belongs to: written down once, so that every later run means the same.

In the output folder::

    plan.json     what is made from what: input, model, options, form of the results, the images' digest
    photos.txt    the images' paths within the input, one a line, in order
    part-00000.parquet ...          one a shard
    part-00000.failed.jsonl ...     the shard's images that could not be read or predicted, where there are any

A shard is done when its part is there: it is put in place whole, and after all else of the shard.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import fsspec
from fsspec.core import url_to_fs

from pointrend.errors import PointRendError
from pointrend.predict.images import SUFFIXES

PLAN, PHOTOS = "plan.json", "photos.txt"
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
    """

    settings: BatchConfig
    output: str
    images: tuple[str, ...]

    @classmethod
    def open(cls, settings: BatchConfig, output: str) -> Plan:
        """Go on with the plan in the output folder, or make one and write it there.

        Images that have come to the input since the plan was made are not in it.

        Raises:
            BatchError: the plan there is of another batch, is damaged, or the input holds no image.
        """
        files, folder = url_to_fs(output)
        if files.exists(f"{folder}/{PLAN}"):
            return cls._read(files, folder, settings, output)
        images = _find(settings.input)
        if not images:
            raise BatchError(f"{settings.input} holds no image.")
        text = "".join(f"{image}\n" for image in images)
        files.makedirs(folder, exist_ok=True)
        put(output, PHOTOS, text.encode())
        put(output, PLAN, json.dumps({**asdict(settings), "sha256": _digest(text)}, indent=2).encode())
        return cls(settings, output, images)

    @classmethod
    def _read(cls, files: fsspec.AbstractFileSystem, folder: str, settings: BatchConfig, output: str) -> Plan:
        try:
            tree = json.loads(files.cat_file(f"{folder}/{PLAN}"))
            text = files.cat_file(f"{folder}/{PHOTOS}").decode()
            digest = tree.pop("sha256")
        except (OSError, ValueError, KeyError, AttributeError) as error:
            raise BatchError(f"The plan in {output} cannot be read: {error}") from error
        if digest != _digest(text):
            raise BatchError(f"{PHOTOS} in {output} is not what its plan was made with.")
        for name, value in json.loads(json.dumps(asdict(settings))).items():
            if tree.get(name) != value:
                raise BatchError(
                    f"{output} holds a batch with {name} {tree.get(name)!r}; {value!r} needs a folder of its own."
                )
        return cls(settings, output, tuple(text.splitlines()))

    def shards(self) -> Iterator[Shard]:
        """All of them."""
        size = self.settings.shard_size
        for number, start in enumerate(range(0, len(self.images), size)):
            yield Shard(number, self.images[start : start + size])

    def left(self) -> list[Shard]:
        """Those that are not done."""
        files, folder = url_to_fs(self.output)
        files.invalidate_cache()
        there = {path.rsplit("/", 1)[-1] for path in files.ls(folder, detail=False)}
        return [shard for shard in self.shards() if shard.part(self.settings.form) not in there]


def put(output: str, name: str, data: bytes) -> None:
    """Write a file of the output whole or not at all.

    An object store shows an object once it is complete; a file system shows a file as it grows, so that it is written
    under another name first.
    """
    files, folder = url_to_fs(output)
    if "file" in files.protocol:
        hidden = f"{folder}/.{name}.{uuid.uuid4().hex}"
        files.pipe_file(hidden, data)
        files.mv(hidden, f"{folder}/{name}")
    else:
        files.pipe_file(f"{folder}/{name}", data)


def _find(place: str) -> tuple[str, ...]:
    files, folder = url_to_fs(place)
    start = folder.rstrip("/") + "/"
    found = (path.removeprefix(start) for path in files.find(folder))
    return tuple(sorted(path for path in found if path.lower().endswith(SUFFIXES) and "\n" not in path))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
