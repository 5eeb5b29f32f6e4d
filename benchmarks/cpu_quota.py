"""A control group that may use so much of the processor's time, as a container's ``--cpus`` makes one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CONTROLLER = Path("/sys/fs/cgroup/cpu")
"""Of the first version of control groups, which leaves each controller to whoever is root."""
PERIOD = 100_000  # microseconds, as container engines have it


@dataclass(frozen=True, slots=True)
class Group:
    """Processes that share a quota."""

    folder: Path

    def add(self, process: int) -> None:
        """Limit a process, and what it starts from now on, too."""
        (self.folder / "cgroup.procs").write_text(str(process))

    def throttled(self) -> float:
        """The share of the periods, 0 to 1, in which the quota ran out."""
        told = dict(line.split() for line in (self.folder / "cpu.stat").read_text().splitlines())
        return int(told["nr_throttled"]) / max(1, int(told["nr_periods"]))


@contextmanager
def quota(cores: float) -> Iterator[Group]:
    """A group whose processes have so many cores' time together; all of them have ended when it is left.

    Raises:
        SystemExit: this machine lets nobody make one here.
    """
    folder = CONTROLLER / f"pointrend-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError as error:
        raise SystemExit(f"--quota {cores:g}: needs root and {CONTROLLER}, writable: {error.strerror}.") from error
    try:
        (folder / "cpu.cfs_period_us").write_text(str(PERIOD))
        (folder / "cpu.cfs_quota_us").write_text(str(round(cores * PERIOD)))
        yield Group(folder)
    finally:
        folder.rmdir()
