"""The JSON lines beside a video: what was found, frame by frame. They are the result, and what a run resumes from.

The first line is about the video as a whole, then comes one for each frame, and the last one counts::

    {"video": {"file": "street.mp4", ...}, "model": {...}, "options": {...}, "categories": [...]}
    {"frame": 0, "time": 0.0, "width": 1280, "height": 720, "instances": [{"track_id": 1, "category_id": 3, ...}]}
    {"frame": 1, "time": 0.04, "broken": "its data is damaged"}
    {"summary": {"frames": 250, "broken": 1, "tracks": 4}}

An instance has COCO's fields, as everywhere, and the number of its object, ``track_id``: null for one that was not seen
often enough to have one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from pointrend.errors import InvalidPrediction, OutputError
from pointrend.plain_text import escaped
from pointrend.structures.prediction import Prediction
from pointrend.system.regular_files import open_regular

Line = dict[str, Any]
_LONGEST = 500_000_000  # bytes


@dataclass(slots=True)
class Records:
    """The lines of one video; a context that keeps their file open.

    Attributes:
        path: the file.
        header: its first line: what the rest is made from.
        done: frames whose lines are there, from an earlier run or this one.
        summary: what the last line says, where an earlier run came to its end.
    """

    path: Path
    header: Line
    done: int = 0
    summary: dict[str, int] | None = None
    _good: int = 0  # bytes of the lines that are kept
    _file: BinaryIO | None = None

    @classmethod
    def open(cls, path: Path, header: Line) -> Records:
        """Look through what an earlier run of the same video, model and options has left.

        Lines of another model or of other options are dropped once the run begins.

        Raises:
            OutputError: there is a file of this name that is none of ours.
            OSError: it cannot be read.
        """
        header = json.loads(json.dumps(header))  # as it is read: with lists for tuples
        records = cls(path, header)
        try:
            file = open_regular(path)
        except FileNotFoundError:
            return records
        with file:
            text = file.readline(_LONGEST)
            first = _parsed(text)
            if text and (first is None or not {"video", "model", "options"} <= first.keys()):
                raise OutputError(
                    f"{escaped(str(path))} exists and holds something else. Delete it, or choose another name for OUT."
                )
            if first == header:
                records._good = len(text)
                records._scan(file)
        return records

    def _scan(self, file: BinaryIO) -> None:
        """Count whole lines, to the first that is none."""
        while (line := _parsed(text := file.readline(_LONGEST))) is not None:
            if isinstance(line.get("summary"), dict):
                self.summary = line["summary"]
                return
            if line.get("frame") != self.done or ("broken" not in line and self._prediction(line) is None):
                return
            self.done += 1
            self._good += len(text)

    def __enter__(self) -> Self:
        """Keep the good lines and nothing else, and open the file for more."""
        self._file = self.path.open("r+b" if self._good else "wb+", buffering=0)
        self._file.truncate(self._good)
        self._file.seek(0, os.SEEK_END)
        self.summary = None
        if not self._good:
            self._write(self.header)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def earlier(self) -> Iterator[Prediction | None]:
        """What the frames of the lines that are there now hold, in order; None for a broken one."""
        count = self.done
        with open_regular(self.path) as file:
            file.readline()
            for _ in range(count):
                line = _parsed(file.readline(_LONGEST)) or {}
                yield None if "broken" in line else self._prediction(line)

    def add(self, line: Line) -> None:
        """Write the next frame's line, unless an earlier run did."""
        if line["frame"] == self.done:
            self._write(line)
            self.done += 1

    def finish(self, summary: dict[str, int]) -> None:
        """Write the last line."""
        self.summary = summary
        self._write({"summary": summary})

    def _write(self, line: Line) -> None:
        if self._file is None:
            raise ValueError("The records are not open.")
        self._file.write(json.dumps(line).encode() + b"\n")

    def _prediction(self, line: Line) -> Prediction | None:
        """The frame's objects as a prediction; None for a line that holds none."""
        try:
            return Prediction.from_dict(
                {
                    "model": {"name": self.header["model"]["name"]},
                    "image": {"width": line["width"], "height": line["height"]},
                    "task": self.header["options"]["task"],
                    "instances": line["instances"],
                    "timing_ms": {},
                }
            )
        except (InvalidPrediction, KeyError, TypeError):
            return None


def _parsed(text: bytes) -> Line | None:
    """A whole line's object; None for anything else."""
    if not text.endswith(b"\n"):
        return None
    try:
        line = json.loads(text)
    except ValueError:
        return None
    return line if isinstance(line, dict) else None
