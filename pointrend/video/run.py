"""The run: reads a video, finds and numbers its objects, and writes it with them drawn, and their lines.

The lines are written first, frame by frame; the video gets its name once it is whole. A run that was interrupted takes
the objects of the frames whose lines are there from them, gives them to the tracker again, and goes on as if nothing
had happened: the lines and the frames are those of a run in one go.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from av.audio.stream import AudioStream
from av.packet import Packet
from numpy.typing import NDArray

from pointrend.errors import VideoError
from pointrend.plain_text import escaped
from pointrend.structures.prediction import Instance, Prediction
from pointrend.system.concurrency import in_order
from pointrend.system.outputs import check_file
from pointrend.system.progress import bar
from pointrend.system.run_lock import locked
from pointrend.video.clip import Clip, open_clip
from pointrend.video.drawing import draw
from pointrend.video.frames import BrokenFrame, Frame, read
from pointrend.video.job import VideoJob, VideoOutcome
from pointrend.video.records import Line, Records
from pointrend.video.tracking import SIGHTINGS, IdentityTracker, Track
from pointrend.video.writer import VideoWriter, open_writer, output_format

Segment = Callable[[NDArray[np.uint8]], Prediction]
"""(H, W, 3) uint8 RGB in, the objects out."""

_VIDEO = "video.partial"
_OF_ANSWERS = ("format", "alpha")  # options that change nothing here


def run(
    job: VideoJob,
    segment: Segment,
    model: Mapping[str, str],
    categories: Sequence[Mapping[str, Any]],
    *,
    concurrency: int | None = None,
    progress: bool = True,
) -> VideoOutcome:
    """Find and number the objects of a video, and write it with them.

    Args:
        job, segment, model, categories, concurrency: as in :func:`steps`.
        progress: show a bar, on a terminal.

    Raises:
        PointRendError: as in :func:`steps`.
    """
    going = steps(job, segment, model, categories, concurrency=concurrency)
    with bar(shown=progress) as shown:
        task = shown.add_task("Frames", total=None)
        while True:
            try:
                done, total = next(going)
            except StopIteration as end:
                outcome: VideoOutcome = end.value
                return outcome
            shown.update(task, completed=done, total=None if total is None else max(done, total))


def steps(
    job: VideoJob,
    segment: Segment,
    model: Mapping[str, str],
    categories: Sequence[Mapping[str, Any]],
    *,
    concurrency: int | None = None,
) -> Generator[tuple[int, int | None], None, VideoOutcome]:
    """The same, frame by frame, for whoever shows how far it is; closing it ends the run.

    Args:
        job: what to do.
        segment: predicts one frame.
        model: its name, version and engine: a run of another one begins anew.
        categories: that the model knows, for the lines.
        concurrency: frames at a time that are predicted in threads; None predicts in this one.

    Yields:
        frames that were read, and how many there may be.

    Returns:
        what was done.

    Raises:
        VideoError: the video cannot be read, or the new one cannot be written.
        OutputError: the place cannot be written, holds other files of these names, or another run is going on there.
        RequestError: a frame cannot be predicted. What was done by then is kept.
    """
    check_file(job.lines, "OUT")
    work = job.out.with_name(f".{job.out.name}.pointrend")
    with locked(work, "OUT"):
        records = Records.open(job.lines, _header(job, model, categories))
        if job.out.exists() and not job.lines.exists():
            raise VideoError(f"OUT: {escaped(str(job.out))} exists already. Delete it, or choose another name.")
        if records.summary is not None and job.out.exists():
            summary = records.summary
            outcome = VideoOutcome(job, summary["frames"], summary["broken"], summary["tracks"], summary["frames"])
        else:
            partial = work / _VIDEO
            try:
                with open_clip(job.source, job.limits) as clip:
                    outcome = yield from _write(job, clip, records, segment, concurrency, partial)
                partial.replace(job.out)
            finally:
                partial.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        work.rmdir()
    return outcome


def _write(
    job: VideoJob, clip: Clip, records: Records, segment: Segment, concurrency: int | None, partial: Path
) -> Generator[tuple[int, int | None], None, VideoOutcome]:
    with records, partial.open("w+b") as file, open_writer(file, clip, output_format(job.out)) as writer:
        state = _Run(records, writer)
        read_so_far = 0
        yield 0, clip.frames
        for event in _predicted(clip, records, segment, concurrency):
            state.take(event)
            if not isinstance(event, Packet):
                read_so_far += 1
                yield read_so_far, clip.frames
        state.flush(0)
        outcome = state.outcome(job)
        if not outcome.frames:
            raise VideoError(f"{escaped(job.source.name)} has no frame that can be read.")
        records.finish({name: getattr(outcome, name) for name in ("frames", "broken", "tracks")})
    return replace(outcome, note=writer.note)


@dataclass(frozen=True, slots=True)
class _Seen:
    """A frame and what was found in it."""

    frame: Frame
    prediction: Prediction
    known: bool


def _predicted(
    clip: Clip, records: Records, segment: Segment, concurrency: int | None
) -> Iterator[_Seen | BrokenFrame | Packet[AudioStream]]:
    """The events of a video, frames with their objects: from an earlier run's lines, or predicted."""

    def one(
        item: tuple[Frame | BrokenFrame | Packet[AudioStream], Prediction | None],
    ) -> _Seen | BrokenFrame | Packet[AudioStream]:
        event, earlier = item
        if not isinstance(event, Frame):
            return event
        if earlier is not None:
            return _Seen(event, earlier, True)
        return _Seen(event, segment(event.pixels), False)

    earlier = records.earlier()
    items = ((event, None if isinstance(event, Packet) else next(earlier, None)) for event in read(clip))
    return map(one, items) if concurrency is None else in_order(one, items, concurrency)


@dataclass(slots=True)
class _Run:
    """What is between reading and writing.

    The last frames wait, since an object gets its number some frames after it was seen first.
    """

    records: Records
    writer: VideoWriter
    tracker: IdentityTracker | None = None
    waiting: deque[tuple[BrokenFrame | _Seen, list[Track]]] = field(default_factory=deque)
    frames: int = 0
    broken: int = 0
    kept: int = 0
    ids: int = 0
    broken_frames: list[str] = field(default_factory=list)

    def take(self, event: _Seen | BrokenFrame | Packet[AudioStream]) -> None:
        """Go on by one event, in the order of the video."""
        if isinstance(event, Packet):
            self.writer.sound(event)
            return
        if isinstance(event, BrokenFrame):
            self.waiting.append((event, []))
        else:
            frame = event.frame
            height, width = frame.pixels.shape[:2]
            self.tracker = self.tracker or IdentityTracker(width, height)
            # As the lines have it, so that a resumed run tracks the very same numbers.
            instances = tuple(Instance.from_dict(each.to_dict()) for each in event.prediction.instances)
            seen = replace(event, prediction=replace(event.prediction, instances=instances))
            self.waiting.append((seen, self.tracker.update(frame.time, instances)))
        self.flush(SIGHTINGS - 1)

    def flush(self, keep: int) -> None:
        """Write all but the last frames."""
        while len(self.waiting) > keep:
            event, tracks = self.waiting.popleft()
            if isinstance(event, BrokenFrame):
                self.broken += 1
                if len(self.broken_frames) < 10:
                    self.broken_frames.append(f"Frame {event.index} is left out: {event.reason}.")
                self.records.add({"frame": event.index, "time": event.time, "broken": event.reason})
                continue
            frame, ids = event.frame, [track.id for track in tracks]
            self.records.add(_line(frame, event.prediction, ids))
            self.writer.frame(draw(frame.pixels, event.prediction, ids), frame.pts, frame.time_base)
            self.frames += 1
            self.kept += event.known
            self.ids = max(self.ids, *(number or 0 for number in ids), 0)

    def outcome(self, job: VideoJob) -> VideoOutcome:
        return VideoOutcome(job, self.frames, self.broken, self.ids, self.kept, tuple(self.broken_frames))


def _line(frame: Frame, prediction: Prediction, ids: Sequence[int | None]) -> Line:
    return {
        "frame": frame.index,
        "time": round(frame.time, 6),
        "width": prediction.width,
        "height": prediction.height,
        "instances": [
            {"track_id": number, **each.to_dict()} for number, each in zip(ids, prediction.instances, strict=True)
        ],
    }


def _header(job: VideoJob, model: Mapping[str, str], categories: Sequence[Mapping[str, Any]]) -> Line:
    try:
        status = job.source.stat()
    except OSError as error:
        raise VideoError(f"{escaped(str(job.source))} cannot be read: {error.strerror}.") from error
    asked = asdict(job.options).items()
    options = {name: value for name, value in asked if value is not None and name not in _OF_ANSWERS}
    return {
        "video": {"file": job.source.name, "bytes": status.st_size, "modified_ns": status.st_mtime_ns},
        "model": dict(model),
        "options": options,
        "categories": [{"id": each["id"], "name": each["name"]} for each in categories],
    }
