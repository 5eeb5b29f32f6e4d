"""The benchmark of soft edges: composites have the alpha that they say, a perfect answer has no error, and it runs."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import pointrend
from benchmarks.alpha import HEADER, compose, errors, logit_alpha
from pointrend.exporters import coco_dataset
from pointrend.exporters.coco import CocoImage
from pointrend.images.decode import decode

ROOT = Path(__file__).parents[2]
PHOTOS = ROOT / "gradio_app" / "photos"
WALL = np.array([10, 200, 30], np.float32)


@pytest.mark.parametrize("defocus", [0, 1])
def test_a_composite_is_its_object_before_the_other_photo(defocus: float) -> None:
    mask = np.zeros((150, 160), bool)
    mask[20:130, 30:120] = True
    red, blue = np.full((150, 160, 3), (200, 20, 10), np.uint8), np.full((90, 80, 3), (10, 20, 200), np.uint8)
    case = compose(red, mask, blue, defocus)
    assert case is not None
    assert case.alpha[75, 75] == pytest.approx(1)
    assert case.alpha[18, 75] < 0.01
    assert case.alpha.sum() == pytest.approx((110 - 4) * (90 - 4), rel=0.01)  # two pixels inside of the mask
    mixture = case.alpha[..., None] * (200, 20, 10) + (1 - case.alpha[..., None]) * (10, 20, 200)
    assert np.abs(case.image - mixture).max() < 1
    perfect = (case.alpha * 255 + 0.5).astype(np.uint8)
    known = replace(case, levels=perfect)
    colours = case.colours.clip(0, 255).astype(np.uint8)
    assert errors(known, perfect, colours, WALL) == pytest.approx((0, 0, 0), abs=0.5)
    sad, _, picture = errors(known, perfect, case.image, WALL)
    assert sad < 0.1
    assert picture > errors(known, perfect, colours, WALL)[2]  # the old background's colours show
    shifted = np.roll(perfect, 3, axis=1)
    assert errors(known, shifted, colours, WALL)[0] > 1


def test_an_outline_from_the_logits_is_as_sharp_however_wide_they_are() -> None:
    places = np.arange(-20, 20) + 0.25
    for width in (0.7, 4.0):
        levels = (256 / (1 + np.exp(-places / width))).clip(0, 255).astype(np.uint8)
        alpha = logit_alpha(np.tile(levels, (5, 1)))[2]
        np.testing.assert_array_equal(alpha >= 128, levels >= 128)
        assert ((alpha > 8) & (alpha < 247)).sum() <= 3


def test_the_table_has_every_way_and_its_difference_to_hard_edges(tmp_path: Path) -> None:
    segment = pointrend.load("demo")
    (tmp_path / "images").mkdir()
    found = []
    for number, name in enumerate(("coffee.jpg", "dogs.jpg", "wine.jpg")):
        path = Path(shutil.copy(PHOTOS / name, tmp_path / "images"))
        found.append(CocoImage(number, name, segment(decode(path.read_bytes()))))
    categories = [{"id": each.id, "name": each.name} for each in segment.info.categories]
    (tmp_path / "instances_val.json").write_text(json.dumps(coco_dataset(found, categories)))
    command = [sys.executable, "-m", "benchmarks.alpha", "--data", str(tmp_path), "--objects", "2", "--defocus", "0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in done.stdout.splitlines() if "|" in line]
    assert rows[0] == list(HEADER)
    names = [row[0] for row in rows[2:]]
    assert names[:3] == ["hard", "soft", "soft, the image's colours"]
    assert all(" to " in row[1] for row in rows[3:])
