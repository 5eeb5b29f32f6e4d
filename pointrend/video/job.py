"""What a run is to do, and what it did."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pointrend.errors import VideoError
from pointrend.plain_text import escaped
from pointrend.structures.options import Options
from pointrend.video.clip import ClipLimits
from pointrend.video.writer import output_format

_TASKS = ("instances", "detection")


@dataclass(frozen=True, slots=True)
class VideoJob:
    """What to do.

    Attributes:
        source: the video.
        out: the video to write; its suffix is its format. The lines are beside it, ``out`` with ``.jsonl`` appended.
        options: of every frame.
        limits: how much of the video is taken.

    Raises:
        VideoError: the suffix stands for no format, the task has no objects to number, or both files are the same.
    """

    source: Path
    out: Path
    options: Options
    limits: ClipLimits = field(default_factory=ClipLimits)

    def __post_init__(self) -> None:
        output_format(self.out)
        if self.options.task not in _TASKS:
            raise VideoError(f"--task {self.options.task}: only {' and '.join(_TASKS)} have objects to follow.")
        with contextlib.suppress(OSError):
            if self.out.samefile(self.source):
                raise VideoError(f"OUT: {escaped(str(self.out))} is the video itself. Choose another name.")

    @property
    def lines(self) -> Path:
        """The file of the JSON lines."""
        return self.out.with_name(f"{self.out.name}.jsonl")


@dataclass(frozen=True, slots=True)
class VideoOutcome:
    """What a run did.

    Attributes:
        job: what it was.
        frames: that are in the new video.
        broken: that could not be read; the first ones are named by ``broken_frames``.
        tracks: objects with a number.
        kept: frames whose objects an earlier run had found.
        broken_frames: a sentence each, at most ten.
        note: on sound that is lost or changed.
    """

    job: VideoJob
    frames: int
    broken: int
    tracks: int
    kept: int
    broken_frames: Sequence[str] = ()
    note: str | None = None

    def headline(self) -> str:
        """The counts, on one line."""
        found = self.frames + self.broken
        return (
            f"{found} frames: {self.frames - self.kept} done, {self.kept} done before, {self.broken} broken; "
            f"objects followed: {self.tracks}. Results: {escaped(str(self.job.out))}, {escaped(str(self.job.lines))}"
        )
