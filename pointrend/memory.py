"""What a process that predicts does with memory that it has freed: it bounds what is kept of it.

The C library keeps freed pieces for what comes next. With photos of many sizes what stays between them (kernels made
for one more size) cuts them up, and a process grows with every size: with a ResNet-50 to three times what it needs.
Beyond a limit all that is free goes back to the system; it is fetched anew as it is needed.

Only glibc, on Linux, is told so; elsewhere nothing is done.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

LIMIT_MIB = 1280  # above what a ResNet-50 takes for photos of one size, below the 1.5 GB that a worker may take


class Reserve:
    """Freed memory that a process keeps, up to a limit.

    Args:
        limit_mib: what the process may hold between two predictions, MiB, whatever is in use included.
    """

    def __init__(self, limit_mib: int = LIMIT_MIB) -> None:
        self._limit = self._least = limit_mib

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
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
    return trim is not None


def told(name: str) -> int | None:
    """A line of Linux's account of this process, ``VmRSS`` or ``VmHWM``, in MiB; None where there is none."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith(f"{name}:")), None)
