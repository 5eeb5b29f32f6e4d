"""What a piece of work takes at its peak, measured in a process of its own."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

RESET = Path("/proc/self/clear_refs")
STATUS = Path("/proc/self/status")


def peak_of(work: Callable[[], Any]) -> tuple[Any, int]:
    """What the work returns, and by how many bytes this process grew at its peak; for :func:`printed_by` only."""
    gc.collect()
    RESET.write_text("5")
    before = _memory("VmRSS")
    result = work()
    return result, _memory("VmHWM") - before


def printed_by(program: str) -> list[Any]:
    """Run a Python program that measures, and read the JSON lines that it prints; skips where that cannot be."""
    if not os.access(RESET, os.W_OK):
        pytest.skip("The peak of a process cannot be measured anew here.")
    # Freed memory goes back to the system at once, so that one peak does not hide the next.
    environment = {
        **os.environ,
        "MALLOC_ARENA_MAX": "1",
        "MALLOC_MMAP_THRESHOLD_": "65536",
        "MALLOC_TRIM_THRESHOLD_": "0",
    }
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment, cwd=Path.cwd()
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def _memory(key: str) -> int:
    lines = STATUS.read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(key)).split()[1])
