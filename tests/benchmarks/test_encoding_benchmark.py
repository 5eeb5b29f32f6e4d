"""The benchmark runs and compares what it says it compares; how fast it is, is not a test's to judge."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_it_measures_both_ways_and_writes_figures(tmp_path):
    figures = tmp_path / "figures.json"
    command = [sys.executable, "benchmarks/encoding.py", "--rounds", "2", "--json", str(figures)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "100 instances at 1920x1080" in run.stdout, run.stderr
    tree = json.loads(figures.read_text())
    assert run.returncode == (0 if tree["aim"]["met"] else 1)
    assert [timing["way"] for timing in tree["ms"]][:2] == ["crop, runs shifted", "full frame"]
    assert 100 < tree["bytes"]["median"] <= tree["aim"]["median_bytes"]
