"""What the processes of a stack hold over time: memory, descriptors, threads, and temporary files."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray

MIB = 2**20
JAVA, WORKER = "TorchServe (Java)", "worker"
FILES = "temporary files"
CONFIDENCE = 0.95
_HEAP = re.compile(r"committed (\d+)K|total (\d+)K")


@dataclass(frozen=True, slots=True)
class Sample:
    """What one kind of process held at one time, all of that kind together.

    Attributes:
        seconds: since the watch began.
        process: its kind.
        count: how many of them.
        rss_mib: resident memory.
        descriptors, threads: open.
        unlinked_mib: of files that have no name any more and are still open.
    """

    seconds: float
    process: str
    count: int
    rss_mib: float
    descriptors: int
    threads: int
    unlinked_mib: float


@dataclass(frozen=True, slots=True)
class Files:
    """What lay in one part of the temporary folder at one time."""

    seconds: float
    part: str
    count: int
    mib: float


@dataclass(frozen=True, slots=True)
class Trend:
    """A least-squares line: its slope an hour, and the interval that covers it at :data:`CONFIDENCE`.

    The interval takes the samples for independent. They are not quite, so it is narrower than it should be.
    """

    an_hour: float
    low: float
    high: float

    @classmethod
    def of(cls, seconds: NDArray[np.float64], values: NDArray[np.float64]) -> Trend:
        """Fit at least three points."""
        from scipy.stats import t  # optional: it comes with the extra `openvino`

        hours = seconds / 3600
        (slope, _), (residual, *_), *_ = np.polyfit(hours, values, 1, full=True)
        error = np.sqrt(residual / (len(hours) - 2) / np.square(hours - hours.mean()).sum())
        reach = float(t.ppf((1 + CONFIDENCE) / 2, len(hours) - 2) * error)
        return cls(float(slope), float(slope) - reach, float(slope) + reach)


class Watch:
    """Samples every so often, from a thread of its own.

    Args:
        pid: the process from which the others descend.
        folder: of their temporary files.
        every: seconds between two samples.
    """

    def __init__(self, pid: int, folder: Path, every: float) -> None:
        self._root = psutil.Process(pid)
        self._folder = folder
        self._every = every
        self._started = time.monotonic()
        self.samples: list[Sample] = []
        self.files: list[Files] = []

    @contextmanager
    def running(self) -> Iterator[Watch]:
        """Sample until the block ends."""
        ended = threading.Event()

        def go_on() -> None:
            while not ended.wait(self._every):
                self.sample()

        self.sample()
        thread = threading.Thread(target=go_on)
        thread.start()
        try:
            yield self
        finally:
            ended.set()
            thread.join()
            self.sample()

    def sample(self) -> None:
        """Take one sample of everything."""
        now = time.monotonic() - self._started
        held: dict[str, list[tuple[float, int, int, float]]] = defaultdict(list)
        for process in [self._root, *self._root.children(recursive=True)]:
            try:
                with process.oneshot():
                    memory, threads = process.memory_info().rss / MIB, process.num_threads()
                    held[kind(process)].append((memory, process.num_fds(), threads, unlinked_mib(process.pid)))
            except psutil.Error:  # ended meanwhile
                continue
        for name, each in held.items():
            memory, descriptors, threads, unlinked = (sum(column) for column in zip(*each, strict=True))
            self.samples.append(Sample(now, name, len(each), memory, int(descriptors), int(threads), unlinked))
        self.files += [Files(now, part, count, size) for part, (count, size) in lying_in(self._folder).items()]

    def heap_mib(self) -> float | None:
        """What Java's heap holds of the system; None where it does not say."""
        for process in [self._root, *self._root.children(recursive=True)]:
            if kind(process) == JAVA:
                return committed_heap_mib(process.pid)
        return None

    def processes(self) -> list[str]:
        """The kinds that were seen."""
        return sorted({sample.process for sample in self.samples})

    def series(self, process: str, what: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Seconds and values of one field of one kind of process."""
        points = [
            (sample.seconds, float(getattr(sample, what))) for sample in self.samples if sample.process == process
        ]
        seconds, values = np.array(points).T
        return seconds, values

    def file_series(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Seconds and MiB of all temporary files together, those without a name included."""
        total: dict[float, float] = defaultdict(float)
        for file in self.files:
            total[file.seconds] += file.mib
        for sample in self.samples:
            total[sample.seconds] += sample.unlinked_mib
        return np.array(list(total)), np.array(list(total.values()))

    def trends(self, warm_up: float) -> dict[str, dict[str, Trend]]:
        """Of what each kind of process holds, in MiB and numbers an hour, after ``warm_up`` seconds."""
        found: dict[str, dict[str, Trend]] = {}
        for process in self.processes():
            for what in ("rss_mib", "descriptors", "threads"):
                seconds, values = self.series(process, what)
                after = seconds >= warm_up
                if after.sum() >= 3:
                    found.setdefault(process, {})[what] = Trend.of(seconds[after], values[after])
        seconds, values = self.file_series()
        after = seconds >= warm_up
        if after.sum() >= 3:
            found[FILES] = {"mib": Trend.of(seconds[after], values[after])}
        return found

    def last_files(self) -> list[Files]:
        """What lay in the temporary folder at the last sample, largest first."""
        latest = max((file.seconds for file in self.files), default=0.0)
        return sorted((file for file in self.files if file.seconds == latest), key=lambda file: -file.mib)

    def to_dict(self) -> dict[str, object]:
        """Every sample, for a report."""
        return {"samples": [asdict(each) for each in self.samples], "files": [asdict(each) for each in self.files]}


def kind(process: psutil.Process) -> str:
    """What a process of the stack is, by its command line."""
    words = process.cmdline()
    if Path(words[0]).name == "java":
        return JAVA
    if any(word.endswith("model_service_worker.py") for word in words):
        return WORKER
    if "-m" in words:
        return f"python -m {words[words.index('-m') + 1]}"
    return process.name()


def unlinked_mib(pid: int | str) -> float:
    """The size of the files that a process holds open and that have no name any more."""
    size = 0
    for link in Path(f"/proc/{pid}/fd").glob("*"):
        try:
            target, status = str(link.readlink()), link.stat()
        except OSError:  # closed meanwhile, or another user's
            continue
        if target.startswith("/") and target.endswith(" (deleted)") and not target.startswith(("/dev/", "/memfd:")):
            size += status.st_size
    return size / MIB


def lying_in(folder: Path) -> dict[str, tuple[int, float]]:
    """Number of files and MiB in each part of the temporary folder: ``nginx: body``, ``TorchServe: logs``."""
    parts: dict[str, tuple[int, float]] = {}
    for path in folder.rglob("*"):
        try:
            if not path.is_file():
                continue
            size = path.stat().st_size
        except OSError:  # gone meanwhile
            continue
        first, *below = path.relative_to(folder).parts
        inside = below[0] if below else first
        owner = next((name for name in ("nginx", "gateway") if first.startswith(f"pointrend-{name}-")), "TorchServe")
        count, sum_mib = parts.get(f"{owner}: {inside}", (0, 0.0))
        parts[f"{owner}: {inside}"] = count + 1, sum_mib + size / MIB
    return parts


def committed_heap_mib(pid: int) -> float | None:
    """What a Java process' heap holds of the system, by its runtime's jcmd; None where that is missing or silent."""
    jcmd = Path(psutil.Process(pid).exe()).with_name("jcmd")
    if not jcmd.exists():
        return None
    try:
        told = subprocess.run([jcmd, str(pid), "GC.heap_info"], capture_output=True, text=True, timeout=20, check=False)
    except subprocess.TimeoutExpired:
        return None
    sizes = [int(committed or total) for committed, total in _HEAP.findall(told.stdout)]
    return sum(sizes) / 1024 if sizes else None
