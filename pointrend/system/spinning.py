"""How long OpenMP's threads spin, by whether others need the cores: for a while where they are free, else hardly.

A thread that spins for the next operation has it sooner than one that sleeps, unless what it waits for has no core: see
:mod:`pointrend.system.threads`. libgomp reads once how long, but as its manual says it spins for 100 turns only as long
as a process has more OpenMP threads than cores. So a process that sees itself wait for cores keeps as many idle threads
as that takes. Results are the same; nothing but waiting changes.

Only Linux with PyTorch's libgomp is told so; elsewhere nothing is done.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Protocol

from pointrend.system.threads import WAITED, spins_while_free

CROWDED = 0.2
"""Of a prediction's time, spent waiting for a core, from which on the next one's threads hardly spin."""
FREE = 0.1
"""Below it, several times in a row, they spin again."""
CALM = 3
"""How many times."""


class Idle(Protocol):
    """What keeps threads from spinning until it is closed."""

    def close(self) -> None:
        """Let them spin again."""


class IdleThreads:
    """More OpenMP threads than cores, all of them asleep, so that libgomp's others hardly spin.

    Raises:
        OSError: this process has no libgomp that can be told.
    """

    def __init__(self) -> None:
        library = _libgomp()
        if library is None:
            raise OSError("PyTorch has no libgomp here.")
        self._started, self._done = threading.Event(), threading.Event()
        # A team belongs to the thread that made it, and goes with it.
        self._thread = threading.Thread(target=self._keep, args=(library,), name="pointrend-idle", daemon=True)
        self._thread.start()
        self._started.wait()

    def _keep(self, library: ctypes.CDLL) -> None:
        count = len(os.sched_getaffinity(0)) + 1
        # Each thread of the team calls a function that does nothing to speak of, and sleeps.
        library.GOMP_parallel(ctypes.CDLL(None).getpid, None, ctypes.c_uint(count), ctypes.c_uint(0))
        self._started.set()
        self._done.wait()

    def close(self) -> None:
        """End the threads."""
        self._done.set()
        self._thread.join()


class Spinning:
    """Follows how long the predictions of a process wait for cores; safe to use from several threads.

    Args:
        make_idle: keeps threads from spinning.
    """

    def __init__(self, make_idle: type[Idle] = IdleThreads) -> None:
        self._make_idle = make_idle
        self._idle: Idle | None = None
        self._calm = 0
        self._lock = threading.Lock()

    @property
    def is_limited(self) -> bool:
        """Whether threads hardly spin now."""
        return self._idle is not None

    def note(self, share: float) -> None:
        """Note a prediction.

        Args:
            share: of its time, 0 to 1, that the thread which called it waited for a core.
        """
        with self._lock:
            if self._idle is None:
                if share > CROWDED:
                    self._idle, self._calm = self._make_idle(), 0
                return
            self._calm = self._calm + 1 if share < FREE else 0
            if self._calm >= CALM:
                self._idle.close()
                self._idle = None


@cache
def _spinning() -> Spinning | None:
    """The one of this process; None where it has no say."""
    if sys.platform != "linux" or not spins_while_free() or _libgomp() is None or not WAITED.is_file():
        return None
    return Spinning()


@contextmanager
def follow_load() -> Iterator[None]:
    """Note how long what is done within it waits for cores, and let OpenMP's threads spin, or not, from the next time.

    To be called around a prediction, once PyTorch is loaded.
    """
    spinning = _spinning()
    if spinning is None:
        yield
        return
    begun, before = time.perf_counter_ns(), _waited()
    yield
    after, ended = _waited(), time.perf_counter_ns()
    if before is not None and after is not None:
        spinning.note((after - before) / max(1, ended - begun))


def _waited() -> int | None:
    """Nanoseconds that this thread has waited for a core; None where Linux does not tell.

    Not those of the process's other threads: OpenVINO's wait for PyTorch's though nobody else needs the cores.
    """
    try:
        return int(WAITED.read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None


@cache
def _libgomp() -> ctypes.CDLL | None:
    """The one that PyTorch has loaded; several packages may bring one each."""
    torch = sys.modules.get("torch")
    if sys.platform != "linux" or torch is None:
        return None
    maps = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    loaded = {line.split(maxsplit=5)[5] for line in maps if "libgomp" in line}
    own = [path for path in loaded if Path(path).is_relative_to(Path(str(torch.__file__)).parent)]
    found = own or list(loaded)
    if len(found) != 1:
        return None
    library = ctypes.CDLL(found[0])
    return library if hasattr(library, "GOMP_parallel") else None
