"""What a process does with memory that it has freed: keep it for the next photo, up to a limit.

A large photo's maps are tens of megabytes each. By its defaults the C library gives every one back to the system as it
is freed, and fetches the next page by page: a tenth of a prediction's time and more. Kept, it is there at once. But
what stays between (kernels for one more size of photo) cuts it up, so that it would grow with every size that comes,
by the defaults too; beyond the limit all that is free goes back.

Only Linux with glibc is told so; elsewhere nothing is done.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from typing import Any

from pointrend.system import machine

LIMIT_MIB = 1400  # above what a ResNet-50 takes for photos of one size, below the 1.5 GB that a worker may take
TIMES_LOADED = 3  # above what photos of all sizes take of a small model's worker, in a multiple of it at the start

_ACCOUNT = Path("/proc/self/status")
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
_UNLIMITED = 2**31 - 1
_ALWAYS_MAPPED = 2**30  # bytes of one piece from which on it is fetched and given back by itself, as ever


class MemoryLimit:
    """Keeps what this process frees, up to a limit, from when it is made: after the model is loaded.

    For processes that do nothing but predict, since it is for all that they hold, and for good.

    Args:
        limit_mib: what the process may hold after a prediction; None takes :data:`TIMES_LOADED` times what it holds
            now, and at most :data:`LIMIT_MIB`.
    """

    def __init__(self, limit_mib: int | None = None) -> None:
        self._limit = self._least = limit_mib or min(LIMIT_MIB, TIMES_LOADED * (told("VmRSS") or LIMIT_MIB))
        if (set_option := _libc("mallopt")) is not None:
            set_option(_MMAP_THRESHOLD, _ALWAYS_MAPPED)
            set_option(_TRIM_THRESHOLD, _UNLIMITED)

    def settle(self) -> None:
        """Give back all that is free if the process holds more than the limit; to be called after a prediction.

        What is in use may come near the limit or beyond. So that not every prediction ends with giving back what the
        next one fetches, a quarter beyond that is kept in any case.
        """
        held = told("VmRSS")
        if held is None or held <= self._limit or not give_back():
            return
        self._limit = max(self._least, (told("VmRSS") or 0) * 5 // 4)


def give_back() -> bool:
    """Give back all memory that is free, at once; False where the C library cannot."""
    trim = _libc("malloc_trim")
    if trim is not None:
        trim(0)
    return trim is not None


def told(name: str) -> int | None:
    """A line of Linux's account of this process, ``VmRSS`` or ``VmHWM``, in MiB; None where there is none."""
    kib = machine.told(f"{name}:", _ACCOUNT).split()  # and its unit
    return int(kib[0]) // 1024 if kib else None


def _libc(function: str) -> Any | None:
    return getattr(ctypes.CDLL(None), function, None) if sys.platform == "linux" else None
