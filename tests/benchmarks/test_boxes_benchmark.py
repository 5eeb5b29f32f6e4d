"""The benchmark runs and compares what it says it compares; how fast it is, is not a test's to judge."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_it_measures_three_ways_of_the_same_objects(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    command = [sys.executable, "benchmarks/boxes.py", "tests/demo/chelsea.png", "--rounds", "2", "--json", str(figures)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "Of a detection's time" in run.stdout, run.stderr
    tree = json.loads(figures.read_text())
    assert [timing["way"] for timing in tree["timings"]] == ["detection", "boxes", "boxes with categories"]
    assert len({timing["objects"] for timing in tree["timings"]}) == 1
    shares = tree["of_detection"]
    assert shares["detection"] == 1
    assert run.returncode == int(max(shares.values()) > 1)
