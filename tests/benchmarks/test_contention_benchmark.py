"""The contention benchmark measures in processes of their own, alone and beside a neighbour."""

import subprocess
import sys
from pathlib import Path

from benchmarks.contention import BURST, DEFAULT, HEADER, LIMITED, Setting, ways

ROOT = Path(__file__).parents[2]


def test_several_threads_wait_in_both_ways():
    both = [Setting("bf16", 2, LIMITED), Setting("bf16", 2, DEFAULT)]
    assert ways(["bf16"], [1, 2]) == [Setting("bf16", 1, LIMITED), *both]


def test_a_thread_is_measured_alone_and_beside_a_neighbour():
    options = ["--engine", "eager", "--threads", "1", "--neighbours", "0", "--neighbours", "1", "--seconds", "0"]
    command = [sys.executable, "-m", "benchmarks.contention", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if line.startswith("| eager")]
    assert [row[1:4] for row in rows] == [["1", LIMITED, "0"], ["1", LIMITED, "1"]]
    for row in rows:
        assert len(row) == len(HEADER)
        assert int(row[4]) == BURST - 1
        assert all(float(row[column]) > 0 for column in (5, 7, 8))
