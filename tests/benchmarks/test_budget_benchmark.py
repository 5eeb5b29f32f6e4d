"""The benchmark of budgets has a row for each refinement and each budget, and judges what it kept as it was."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.budget import HEADER
from tests.labelled import label

ROOT = Path(__file__).parents[2]


def table(command: list[str]) -> list[list[str]]:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in done.stdout.splitlines() if "|" in line]


def test_a_table_has_budgets_beside_fixed_refinements(tmp_path: Path) -> None:
    label(tmp_path, ["astronaut"])
    runs = tmp_path / "runs.json"
    command = [sys.executable, "benchmarks/budget.py", "--data", str(tmp_path), "--objects", "1"]
    command += ["--threshold", "0.3", "--budget", "1", "--budget", "600000", "--runs", str(runs)]
    rows = table(command)
    assert rows[0] == list(HEADER)
    names = [f"refinement={step}" for step in range(5)] + ["budget_ms=1", "budget_ms=600000"]
    assert [row[0] for row in rows[2:]] == names
    by_name = {row[0]: row[1:] for row in rows[2:]}
    grid = HEADER.index("mean grid") - 1
    assert by_name["budget_ms=1"][grid:] == by_name["refinement=0"][grid:]
    assert by_name["budget_ms=600000"][grid:] == by_name["refinement=4"][grid:]
    assert by_name["budget_ms=600000"][1] == "0, 0"
    assert runs.exists()
    assert table(command) == rows
