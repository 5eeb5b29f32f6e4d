"""The benchmark of tiles counts what is found, missed and false, and runs."""

import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks.tiles import HEADER, Pasted, judge
from pointrend.datasets.coco_items import DatasetImage
from pointrend.masks.rle import encode_crop
from pointrend.structures.prediction import Instance
from tests.labelled import label

ROOT = Path(__file__).parents[2]
SIZE = (400, 2000)


def instance(x: int, y: int, width: int, height: int, category: int = 1) -> Instance:
    mask = encode_crop(np.ones((height, width), dtype=bool), x, y, *SIZE)
    return Instance(category, "thing", 0.9, (float(x), float(y), float(width), float(height)), width * height, mask)


def test_objects_are_found_by_category_and_mask_and_what_is_left_is_false() -> None:
    photo = DatasetImage(1, Path("photo.jpg"), 1500, 300, "", frozenset({1}))
    objects = (instance(0, 0, 20, 20), instance(50, 0, 50, 50), instance(120, 0, 100, 100), instance(250, 0, 1200, 200))
    found = [
        instance(0, 0, 20, 19),
        instance(50, 0, 50, 24),  # less than half of it: false, and the object is missed
        instance(120, 0, 100, 100, category=2),  # not labelled in this photo: neither right nor false
        instance(250, 0, 1200, 180),
        instance(1900, 300, 50, 50, category=2),  # beside the photo: false
    ]
    (counts,), false = judge(found, [Pasted(photo, 0, 0, 1500, 300, objects)])
    assert counts.objects.tolist() == [1, 1, 1, 1]
    assert counts.found.tolist() == [1, 0, 0, 1]
    assert counts.overlap.round(2).tolist() == [0.95, 0, 0, 0.9]
    assert false == 2


def test_a_table_has_the_whole_image_beside_its_tiles(tmp_path: Path) -> None:
    label(tmp_path, ["astronaut"])
    command = [sys.executable, "benchmarks/tiles.py", "--data", str(tmp_path), "--images", "1", "--photos", "3"]
    command += ["--width", "1300", "--height", "800", "--tiles", "1024"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in done.stdout.splitlines() if "|" in line]
    assert rows[0] == list(HEADER)
    assert [row[0] for row in rows[2:]] == ["-", "1024"]
    assert all(float(row[-1].split()[0]) > 0 for row in rows[2:])
