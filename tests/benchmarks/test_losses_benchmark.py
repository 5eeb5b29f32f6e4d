"""The benchmark of an engine's losses counts as it says it does."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.losses import found_again
from pointrend.masks.rle import encode_crop
from pointrend.structures.prediction import Instance, Prediction
from tests.labelled import label

ROOT = Path(__file__).parents[2]


def found(width: int, score: float, category: int = 1) -> Instance:
    """A mask of ``width`` x 10 pixels at the corner."""
    mask = encode_crop(np.ones((10, width), dtype=bool), 0, 0, 100, 100)
    return Instance(category, "thing", score, (0.0, 0.0, float(width), 10.0), 10 * width, mask)


@pytest.mark.parametrize(
    ("other", "again"),
    [
        ([found(50, 0.9)], 1),
        ([found(40, 0.41)], 1),  # IoU 0.8
        ([found(39, 0.9)], 0),
        ([found(50, 0.4)], 0),
        ([found(50, 0.9, category=2)], 0),
        ([found(10, 0.9), found(50, 0.5)], 1),
        ([], 0),
    ],
)
def test_found_again_is_the_same_thing_with_about_the_same_mask(other: list[Instance], again: int) -> None:
    eager = Prediction(100, 100, (found(50, 0.51), found(50, 0.5)), {})  # only the first is sure
    assert found_again({7: eager}, {7: Prediction(100, 100, tuple(other), {})}) == (1, again)


def test_an_engine_is_put_beside_eager(tmp_path: Path) -> None:
    label(tmp_path, ["astronaut"])
    command = [sys.executable, "benchmarks/losses.py", "--data", str(tmp_path), "--engine", "bf16", "--resamples", "10"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in run.stdout.splitlines() if "|" in line]
    assert rows[0] == ["engine", "mask AP", "lost", "boundary AP", "lost", "found again"]
    assert rows[2][0] == "eager"
    assert float(rows[2][1]) >= 99
    assert rows[3][0] == "bf16"
    assert re.fullmatch(r"([1-9]) of \1, 100.0%", rows[3][5])
