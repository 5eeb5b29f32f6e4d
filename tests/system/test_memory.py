"""What a process that predicts does with memory that it has freed: in processes of their own, for it is for good."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from pointrend.system.memory import told

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only glibc is told what to keep")

# 200 MB in small pieces, freed again, which what was taken after them keeps the C library from giving back.
CODE = """
import json
from pointrend.system.memory import MemoryLimit, told
memory = MemoryLimit({limit})
pieces = [b"x" * 100_000 for _ in range(2000)]
last = b"x" * 100_000
{pieces}
free = told("VmRSS")
memory.settle()
print(json.dumps([free, told("VmRSS")]))
"""


# How many pages are fetched for 200 MB that were freed just before: at least 95, were they of 2 MB each.
FAULTS = """
import resource
from pointrend.system.memory import MemoryLimit
{first}
size = 200_000_000
b"x" * size
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
b"x" * size
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.parametrize(("first", "fewest", "most"), [("MemoryLimit()", 0, 20), ("", 60, 100_000)])
def test_what_is_freed_is_kept_for_the_next_photo(first: str, fewest: int, most: int) -> None:
    done = subprocess.run([sys.executable, "-c", FAULTS.format(first=first)], capture_output=True, check=True)
    assert fewest <= int(done.stdout) <= most


def held(limit: str, pieces: str = "del pieces") -> tuple[int, int]:
    """MiB that a process holds before and after it settles."""
    code = CODE.format(limit=limit, pieces=pieces)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    before, after = json.loads(done.stdout)
    return before, after


def test_beyond_the_limit_all_that_is_free_goes_back() -> None:
    before, after = held("told('VmRSS') + 100")
    assert before - after > 150


def test_below_the_limit_nothing_goes_back() -> None:
    before, after = held("told('VmRSS') + 400")
    assert abs(before - after) < 10


def test_a_process_that_needs_more_than_the_limit_still_keeps_a_quarter() -> None:
    again = "memory.settle()\nmore = [b'x' * 100_000 for _ in range(400)]\nlast = b'x' * 100_000\ndel more"
    before, after = held("1", again)
    assert abs(before - after) < 10


def test_left_to_itself_a_small_process_is_held_to_three_times_what_it_is() -> None:
    before, after = held("")
    assert before - after > 150


def test_what_the_system_tells_is_in_mib() -> None:
    now, most = told("VmRSS"), told("VmHWM")
    assert now is not None
    assert most is not None
    assert 30 < now <= most < 100_000
    assert told("VmNothing") is None
