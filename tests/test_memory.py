"""What a process that predicts does with memory that it has freed: in processes of their own, for it is for good."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from pointrend.memory import told

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only glibc is told what to keep")

PIECE = "import json, resource, torch; from pointrend.memory import Reserve, give_back, told\n"
MAP = "torch.empty(200, 2**20, dtype=torch.uint8).fill_(1)\n"  # 200 MiB, as a large photo's map


def told_by(code: str) -> dict[str, int]:
    """Run code in a process of its own, which prints what it found."""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", PIECE + code], capture_output=True, check=True)
    found: dict[str, int] = json.loads(done.stdout)
    return found


def faults_of_the_second_map(first: str) -> int:
    code = (
        f"{first}\n{MAP}before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n{MAP}"
        "print(json.dumps({'faults': resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before}))"
    )
    return told_by(code)["faults"]


def test_what_is_freed_is_kept_for_the_next_photo() -> None:
    pages = 200 * 2**20 // 4096
    assert faults_of_the_second_map("Reserve()") < pages // 10
    assert faults_of_the_second_map("") > pages // 2, "without it, each piece is fetched page by page"


def test_beyond_the_limit_all_that_is_free_goes_back() -> None:
    found = told_by(
        f"memory = Reserve(told('VmRSS') + 100)\n{MAP}free = told('VmRSS')\nmemory.settle()\n"
        "print(json.dumps({'free': free, 'settled': told('VmRSS')}))"
    )
    assert found["free"] - found["settled"] > 150


def test_below_the_limit_nothing_goes_back() -> None:
    found = told_by(
        f"memory = Reserve(told('VmRSS') + 400)\n{MAP}free = told('VmRSS')\nmemory.settle()\n"
        "print(json.dumps({'free': free, 'settled': told('VmRSS')}))"
    )
    assert abs(found["free"] - found["settled"]) < 10


def test_a_process_that_needs_more_than_the_limit_still_keeps_a_quarter() -> None:
    found = told_by(
        f"memory = Reserve(1)\nheld = {MAP}memory.settle()\nbefore = told('VmRSS')\n"
        "torch.empty(40, 2**20, dtype=torch.uint8).fill_(1)\nmemory.settle()\n"
        "print(json.dumps({'before': before, 'after': told('VmRSS')}))"
    )
    assert found["after"] - found["before"] > 30


def test_what_the_system_tells_is_in_mib() -> None:
    held, most = told("VmRSS"), told("VmHWM")
    assert held is not None
    assert most is not None
    assert 30 < held <= most < 100_000
    assert told("VmNothing") is None
