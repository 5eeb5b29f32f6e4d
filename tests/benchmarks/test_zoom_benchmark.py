"""The benchmark of second looks compares the same objects in both ways, and runs."""

import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks.zoom import HEADER, interval, overlaps, same
from pointrend.datasets.ground_truth import TrueObject
from pointrend.masks.rle import encode_crop
from pointrend.structures.prediction import Instance
from tests.labelled import label

ROOT = Path(__file__).parents[2]
SIZE = (400, 600)


def found(x: int, y: int, width: int, height: int, category: int = 1) -> Instance:
    mask = encode_crop(np.ones((height, width), dtype=bool), x, y, *SIZE)
    return Instance(category, "thing", 0.9, (float(x), float(y), float(width), float(height)), width * height, mask)


def labelled(x: int, y: int, width: int, height: int) -> TrueObject:
    each = found(x, y, width, height)
    assert isinstance(each.segmentation, dict)
    return TrueObject(1, 1, each.bbox, width * height, each.segmentation, crowd=False)


def test_an_object_is_the_detection_of_its_category_in_its_box() -> None:
    detections = [found(100, 100, 200, 200, category=2), found(110, 100, 200, 200), found(0, 0, 50, 50)]
    assert same(detections, labelled(100, 100, 200, 200)) == 1
    assert same(detections, labelled(0, 0, 200, 20)) is None
    assert same([], labelled(0, 0, 20, 20)) is None


def test_a_shifted_outline_costs_the_boundary_more_than_the_mask() -> None:
    mask, edge = overlaps(found(110, 100, 200, 200), labelled(100, 100, 200, 200))
    assert round(mask, 3) == round(190 / 210, 3)
    assert edge < mask - 0.2
    assert overlaps(found(0, 0, 90, 90), labelled(0, 0, 90, 90)) == (1, 1)


def test_an_interval_is_of_the_resamples() -> None:
    assert interval(np.array([0.5, *np.linspace(0, 1, 1001)])) == "50.0 (2.5 to 97.5)"


def test_a_table_has_both_ways_and_their_difference(tmp_path: Path) -> None:
    label(tmp_path, ["astronaut", "coffee"])
    command = [sys.executable, "benchmarks/zoom.py", "--data", str(tmp_path), "--resolution", "0.5"]
    command += ["--time", "tests/demo/astronaut.png", "--rounds", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in done.stdout.splitlines() if "|" in line]
    assert rows[0] == list(HEADER)
    assert [row[0] for row in rows[2:]] == ["-", "zoom", "gain"]
    assert "astronaut.png, 512 x 512: " in done.stdout
    assert " for each of " in done.stdout
