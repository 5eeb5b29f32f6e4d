"""The contention benchmark measures in processes of their own, alone and beside a neighbour."""

import subprocess
import sys
from pathlib import Path

from benchmarks.contention import BURST, FOLLOWING, HEADER, LEFT_OUT, SPINS, Cost, Setting, merge, rows, ways

ROOT = Path(__file__).parents[2]


def test_several_threads_wait_in_all_ways():
    several = [Setting("bf16", 2, spinning) for spinning in SPINS]
    assert ways(["bf16"], [1, 2]) == [Setting("bf16", 1, FOLLOWING), *several]


def test_pieces_of_a_measurement_add_up(tmp_path):
    setting = Setting("bf16", 1, FOLLOWING)
    piece = {(setting, 0): [[Cost(1.0, 1.0)] * 2] * 3, (setting, 4): [[Cost(2.0, 1.0)] * 2, [Cost(3.0, 1.0)] * 2]}
    assert merge(tmp_path / "rounds.json", piece) == piece
    twice = merge(tmp_path / "rounds.json", piece)
    assert [len(each) for each in twice.values()] == [6, 4]
    alone, beside = rows(twice)
    assert (alone[4:6], alone[7:9]) == (("12", "1000"), ("", ""))
    assert (beside[4:6], beside[7:9]) == (("8", "2500"), ("2.5", "2.0 to 3.0"))


def test_a_thread_is_measured_alone_and_beside_a_neighbour():
    options = ["--engine", "eager", "--threads", "1", "--neighbours", "0", "--neighbours", "1", "--seconds", "0"]
    command = [sys.executable, "-m", "benchmarks.contention", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if line.startswith("| eager")]
    assert [row[1:4] for row in rows] == [["1", FOLLOWING, "0"], ["1", FOLLOWING, "1"]]
    for row in rows:
        assert len(row) == len(HEADER)
        assert int(row[4]) == BURST - LEFT_OUT
        assert all(float(row[column]) > 0 for column in (5, 9))
