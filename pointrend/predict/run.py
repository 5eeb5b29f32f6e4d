"""The run: skips what is done, predicts and saves the rest; an image that fails is told of and stops no other."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from rich.progress import Progress, TaskID

from pointrend.errors import InvalidOption, PointRendError, RequestError
from pointrend.masks.alpha import SOFT
from pointrend.predict.files import write_file
from pointrend.predict.images import ImageFile
from pointrend.predict.job import Job
from pointrend.predict.manifest import Manifest
from pointrend.predict.names import REPORT, ResultNames
from pointrend.predict.records import FOLDER, Record, Records
from pointrend.predict.saving import SAVERS, ImageResult, holds_results
from pointrend.predict.sources import Source, asked_for
from pointrend.predict.summary import Failed, Summary
from pointrend.predict.walk import NotRead
from pointrend.predict.writing import write_formats, write_shared
from pointrend.structures.prediction import Prediction
from pointrend.system.outputs import check_folder
from pointrend.system.progress import bar
from pointrend.system.run_lock import locked

# What one image meets and every other would meet too: the run ends, and goes on from here when it is started again.
FATAL = ("server_down", "invalid_token", "bad_key_file", "model_not_found", "bad_response")
# A disk that takes no more may take a smaller file; after so many images in a row that it did not take, the run ends.
_NO_MORE_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_IN_A_ROW = 3


class RunStopped(PointRendError):
    """A run that ended before it had tried every image."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An image that failed, and why."""

    image: ImageFile
    reason: str


@dataclass(frozen=True, slots=True)
class PredictOutcome:
    """What a run did: every image that was found is counted in exactly one of the first three.

    Attributes:
        predicted: images that were predicted now.
        kept: images that an earlier run had done.
        failures: images that could not be done, or, where the run was stopped, were not tried.
        not_read: files and folders that were met and are not among the images.
        out: the folder of the results.
        report: the file with all failures and all that was not read; None where it could not be written.
        stopped: why the run ended early, or what could not be written in the end; None where all went well.
        uncorrected: images that a person had corrected and that were predicted anew, since the image, the model or the
            options have changed: their corrections are gone.
    """

    predicted: int
    kept: int
    failures: tuple[Failure, ...]
    not_read: tuple[NotRead, ...] = ()
    out: Path = Path()
    report: Path | None = None
    stopped: str | None = None
    uncorrected: tuple[ImageFile, ...] = ()

    def summary(self) -> Summary:
        """The outcome as it is printed."""
        failed = [Failed(str(each.image.path), each.reason) for each in self.failures]
        report = None if self.report is None else str(self.report)
        return Summary(self.predicted, self.kept, failed, self.not_read, str(self.out), report)


def run(job: Job, source: Source, *, progress: bool = True) -> PredictOutcome:
    """Predict and save.

    Args:
        job: what to do.
        source: who predicts.
        progress: show a bar, on a terminal.

    Returns:
        What was done. A run that cannot go on, since the server is gone or the disk is full, says so in ``stopped``;
        what is done by then is kept, and the same run started again goes on from there.

    Raises:
        InvalidOption: the model refuses an option.
        OutputError: the output folder cannot be written, what it says of earlier runs is damaged, or another run is
            going on in it.
        NamesError: its list of names is damaged.
    """
    check_folder(job.out, "--out")
    with locked(job.out, "--out"):
        return _Run.begin(job, source).finish(progress)


@dataclass(slots=True)
class _Run:
    """A run's state: what is done, and what failed.

    Attributes:
        images: with their names.
        done: the records of images that have all their results.
        before: those of them, and of others with results left to save, that earlier runs predicted.
        failures: by image, the first of each.
        refusals: images in a row whose results the disk did not take.
        corrected: images that are left to predict, and whose earlier results a person had corrected.
    """

    job: Job
    source: Source
    names: ResultNames
    records: Records
    images: list[ImageFile]
    before: dict[ImageFile, Record]
    manifest: Manifest
    corrected: tuple[ImageFile, ...]
    done: dict[ImageFile, Record] = field(default_factory=dict)
    failures: dict[ImageFile, str] = field(default_factory=dict)
    refusals: int = 0
    stopped: str | None = None

    @classmethod
    def begin(cls, job: Job, source: Source) -> _Run:
        """Name the images, and find out which are done."""
        names = ResultNames.open(job.out / FOLDER)
        options = asked_for(job.options)
        if job.alpha != SOFT:
            options["alpha"] = job.alpha  # cut-outs of other edges are made anew
        records = Records(job.out, source.model, options)

        def taken(image: ImageFile, key: str) -> bool:
            return holds_results(job.out, key) and not records.holds(replace(image, key=key))

        images = names.assign(job.found.images, taken)
        before = {image: record for image in images if (record := records.find(image))}
        manifest = Manifest.open(job.out / FOLDER)
        manifest.tell(source.model, source.categories)
        corrected = tuple(image for image in images if image not in before and records.is_corrected(image))
        return cls(job, source, names, records, images, before, manifest, corrected)

    def finish(self, progress: bool) -> PredictOutcome:
        """Do what is left, and what all images share."""
        left = [image for image in self.images if image not in self.before]
        with bar(shown=progress) as shown:
            task = shown.add_task("Images", total=len(self.images))
            for image, record in self.before.items():
                self._save(image, record)
                shown.advance(task)
            if self.stopped is None:
                self.source.on_tile = partial(_show_tile, shown, shown.add_task("Tiles", visible=False))
                for image, answer in zip(left, self.source.predict(left, self.job.options), strict=True):
                    self._take(image, answer)
                    shown.advance(task)
                    if self.stopped is not None:
                        break
        if self.stopped is None:
            self._write_shared()
        else:
            for image in self.images:
                if image not in self.done:
                    self.failures.setdefault(image, f"Not tried: {self.stopped}")
        failed = tuple(Failure(image, self.failures[image]) for image in self.images if image in self.failures)
        kept = sum(image not in self.failures for image in self.before)
        predicted = len(self.images) - kept - len(failed)
        outcome = PredictOutcome(
            predicted,
            kept,
            failed,
            self.job.found.not_read,
            self.job.out,
            stopped=self.stopped,
            uncorrected=tuple(image for image in self.corrected if image in self.done),
        )
        path = self.job.out / FOLDER / REPORT
        try:
            self.names.save()
            self.manifest.save()
            write_file(path, outcome.summary().report())
        except OSError:
            return outcome  # all names are printed then
        return replace(outcome, report=path)

    def _take(self, image: ImageFile, answer: Prediction | RequestError) -> None:
        # A box may be outside its own image only, and an image may be too large for its tiles; any other option would
        # be refused for every image.
        if isinstance(answer, InvalidOption) and not _is_of_the_image(answer):
            raise answer
        if not isinstance(answer, RequestError):
            self._save(image, Record(answer, frozenset()))
            return
        self.failures[image] = answer.message
        if answer.code in FATAL:
            self.stopped = answer.message

    def _save(self, image: ImageFile, before: Record) -> None:
        """Write the formats that are not there yet."""
        saved = before.saved | set(self.job.save)
        record = replace(before, saved=saved, pending=before.pending - saved)
        if saved != before.saved and not self._write(image, record, saved - before.saved):
            return
        self.done[image] = record

    def _write(self, image: ImageFile, record: Record, formats: frozenset[str]) -> bool:
        """Write some formats of an image and its record; whether that went well."""
        try:
            self.names.save()
            write_formats(image, record.corrected, formats, self.source.categories, self.job.alpha, self.job.out)
            self.records.write(image, record)
        except RequestError as error:
            self.failures[image] = error.message
        except OSError as error:
            self.failures[image] = f"The results cannot be written: {error}."
            self.refusals = self.refusals + 1 if error.errno in _NO_MORE_ROOM else 0
            if self.refusals == _IN_A_ROW:
                self.stopped = f"The results of {_IN_A_ROW} images in a row could not be written: {error.strerror}."
        except Exception as error:  # one image must not end the run; it is told by name
            self.failures[image] = f"The results cannot be made: {error!r}."
        else:
            self.refusals = 0
            return True
        return False

    def _write_shared(self) -> None:
        """Write the files that hold all images: those done, and those whose own files failed this time only."""
        known = {**self.before, **self.done}
        results = [
            (number, ImageResult(image, known[image].corrected, self.source.categories))
            for number, image in enumerate(self.images, start=1)
            if image in known
        ]
        for name in self.job.save:
            try:
                write_shared(name, results, self.source.categories, self.job.out)
            except OSError as error:
                self.stopped = f"The files of {name} that hold all images cannot be written: {error}."
            else:
                if SAVERS[name].finish is not None:
                    self.manifest.share(name, self.images)


def _is_of_the_image(refusal: InvalidOption) -> bool:
    return (refusal.field or "").startswith("boxes[") or refusal.code == "too_many_tiles"


def _show_tile(shown: Progress, task: TaskID, done: int, tiles: int) -> None:
    """Show how far an image is that is cut into tiles."""
    shown.update(task, completed=done, total=tiles, visible=done < tiles)
