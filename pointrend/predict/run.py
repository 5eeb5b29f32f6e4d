"""The run: skips what is done, predicts and saves the rest, and reports failures at the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointrend.errors import InvalidOption, InvalidRequest, PointRendError, RequestError
from pointrend.images.inputs import pixels as decode_input
from pointrend.predict.images import ImageFile
from pointrend.predict.records import Record, Records
from pointrend.predict.saving import SAVERS, ImageResult
from pointrend.predict.sources import Source, asked_for, unreadable_image
from pointrend.structures.options import Options
from pointrend.structures.prediction import Prediction
from pointrend.system.progress import bar

# What one image meets and every other would meet too: the run ends, and goes on from here when it is started again.
FATAL = ("server_down", "invalid_token", "bad_key_file", "model_not_found", "bad_response")


class JobError(PointRendError):
    """A job that cannot be done as it was put."""


@dataclass(frozen=True, slots=True)
class Job:
    """What to do.

    Attributes:
        images: what to predict.
        out: the folder of the results; what earlier runs left there is used.
        save: names of :data:`~pointrend.predict.saving.SAVERS`.
        options: of every prediction.

    Raises:
        JobError: a format is unknown, none is named, or the task has no such format.
    """

    images: Sequence[ImageFile]
    out: Path
    save: Sequence[str]
    options: Options

    def __post_init__(self) -> None:
        if not self.save:
            raise JobError(f"--save names no format. Known: {', '.join(SAVERS)}.")
        for name in self.save:
            if name not in SAVERS:
                raise JobError(f"There is no format {name!r} to save. Known: {', '.join(SAVERS)}.")
            if self.options.task not in SAVERS[name].tasks:
                fitting = ", ".join(each for each, saver in SAVERS.items() if self.options.task in saver.tasks)
                raise JobError(f"{name} cannot hold the task {self.options.task}; {fitting} can.")


@dataclass(frozen=True, slots=True)
class Failure:
    """An image that failed, and why."""

    image: ImageFile
    reason: str


@dataclass(frozen=True, slots=True)
class PredictOutcome:
    """What a run did.

    Attributes:
        predicted: images that were predicted now.
        kept: images that an earlier run had done.
        failures: images that could not be done.
    """

    predicted: int
    kept: int
    failures: tuple[Failure, ...]


def run(job: Job, source: Source, *, progress: bool = True) -> PredictOutcome:
    """Predict and save.

    Args:
        job: what to do.
        source: who predicts.
        progress: show a bar, on a terminal.

    Raises:
        RequestError: what would fail every image: the server is gone, the token or an option is refused. What is done
            by then is kept, and the same run started again goes on from there.
        OSError: the results cannot be written.
    """
    records = Records(job.out, source.model, asked_for(job.options))
    done = {image: record for image in job.images if (record := records.find(image))}
    left = [image for image in job.images if image not in done]
    kept = len(done)
    failures: list[Failure] = []

    def save(image: ImageFile, prediction: Prediction, saved: frozenset[str]) -> None:
        """Write the formats that are not there yet."""
        record = Record(prediction, saved | set(job.save))
        if record.saved != saved:
            savers = {name: SAVERS[name] for name in record.saved - saved}
            try:
                pixels = _read(image, prediction) if any(saver.draws for saver in savers.values()) else None
                for name, saver in savers.items():
                    if saver.save is not None:
                        saver.save(ImageResult(image, prediction, source.categories, pixels), job.out / name)
            except RequestError as error:
                failures.append(Failure(image, error.message))
                return
            records.write(image, record)
        done[image] = record

    with bar(shown=progress) as shown:
        task = shown.add_task("Images", total=len(job.images))
        for image, record in list(done.items()):
            save(image, record.prediction, record.saved)
            shown.advance(task)
        for image, answer in zip(left, _predict(left, source, job.options), strict=True):
            if isinstance(answer, RequestError):
                failures.append(Failure(image, answer.message))
            else:
                save(image, answer, frozenset())
            shown.advance(task)

    results = [
        (number, ImageResult(image, done[image].prediction, source.categories))
        for number, image in enumerate(job.images, start=1)
        if image in done
    ]
    for name in job.save:
        if (finish := SAVERS[name].finish) is not None:
            finish(results, source.categories, job.out / name)
    return PredictOutcome(len(done) - kept, kept, tuple(failures))


def _read(image: ImageFile, prediction: Prediction) -> NDArray[np.uint8]:
    """The image that a prediction is drawn on: (H, W, 3) uint8 RGB.

    Raises:
        RequestError: it cannot be read any more, or has another size by now.
    """
    try:
        decoded = decode_input(image.path)
    except OSError as error:
        raise unreadable_image(error) from error
    height, width = decoded.shape[:2]
    if (width, height) != (prediction.width, prediction.height):
        raise InvalidRequest(
            f"{image.path} was {prediction.width}x{prediction.height} pixels when it was predicted and is now "
            f"{width}x{height}. Run the command again.",
            field="image",
            code="unreadable_photo",
        )
    return decoded


def _predict(images: Sequence[ImageFile], source: Source, options: Options) -> Iterator[Prediction | RequestError]:
    for answer in source.predict(images, options):
        if isinstance(answer, InvalidOption) or (isinstance(answer, RequestError) and answer.code in FATAL):
            raise answer
        yield answer
