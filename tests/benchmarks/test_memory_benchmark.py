"""The memory's benchmark runs either way in a process of its own and tells of both."""

import subprocess
import sys
from pathlib import Path

from benchmarks.memory import DEFAULT, HEADER, KEPT

ROOT = Path(__file__).parents[2]


def test_both_ways_are_in_the_table():
    command = [sys.executable, "benchmarks/memory.py", "--model", "demo", "--engine", "eager", "--photos", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if line.startswith("| eager")]
    assert [row[1] for row in rows] == [KEPT, DEFAULT]
    for row in rows:
        assert len(row) == len(HEADER)
        assert all(float(figure) > 0 for figure in row[2:])
        assert int(row[6]) >= int(row[5]) > 100  # MiB: torch alone takes more
