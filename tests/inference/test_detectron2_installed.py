"""detectron2 itself answers as this project's network does; collected only where it is installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pointrend
from pointrend.inference import detectron2
from pointrend.structures.boxes import BoxPrompt
from pointrend.structures.model_info import Category, ModelInfo
from pointrend.structures.options import Options
from pointrend.weights.convert import convert
from pointrend.weights.folder import ModelFolder

GOLDEN = Path(__file__).parents[1] / "golden"


def folder_of(case: str, classes: int, where: Path) -> ModelFolder:
    categories = tuple(Category(number, f"thing {number}") for number in range(1, classes + 1))
    source = GOLDEN / case
    return convert(
        source / "model_final.pkl", source / "config.yaml", where, ModelInfo(case, "1", categories=categories)
    )


@pytest.mark.parametrize(
    ("case", "classes", "name"),
    [
        ("pointrend_coco80_landscape", 80, "chelsea_451x300.png"),
        ("pointrend_3class_portrait", 3, "astronaut_crop_280x512.png"),
        ("maskrcnn_coco80_landscape", 80, "coffee_600x400.png"),
    ],
)
def test_instances(case: str, classes: int, name: str, tmp_path: Path) -> None:
    folder = folder_of(case, classes, tmp_path / "model")
    photo = np.asarray(Image.open(GOLDEN / "images" / name).convert("RGB"))
    ours = pointrend.load(folder.path)(photo, Options(score_threshold=0.0, exact=True))
    theirs = detectron2.load(folder)(photo, Options(score_threshold=0.0))
    assert [each.category_id for each in theirs.instances] == [each.category_id for each in ours.instances]
    differing = total = 0
    for own, other in zip(ours.instances, theirs.instances, strict=True):
        assert other.score == pytest.approx(own.score, abs=1e-3)
        assert other.bbox == pytest.approx(own.bbox, abs=0.1)
        differing += int((own.mask() != other.mask()).sum())
        total += int(own.mask().sum())
    assert differing <= 0.0005 * total


@pytest.mark.parametrize(
    ("case", "classes", "name"),
    [
        ("pointrend_coco80_landscape", 80, "chelsea_451x300.png"),
        ("maskrcnn_coco80_landscape", 80, "coffee_600x400.png"),
    ],
)
def test_given_boxes(case: str, classes: int, name: str, tmp_path: Path) -> None:
    folder = folder_of(case, classes, tmp_path / "model")
    photo = np.asarray(Image.open(GOLDEN / "images" / name).convert("RGB"))
    boxes = (BoxPrompt(30, 20, 250, 260), BoxPrompt(100, 50, 60, 90, "thing 2"), BoxPrompt(-9, 100, 150, 300, "3"))
    ours = pointrend.load(folder.path)(photo, Options(boxes=boxes, exact=True))
    theirs = detectron2.load(folder)(photo, Options(boxes=boxes))
    assert [each.category_id for each in theirs.instances] == [each.category_id for each in ours.instances]
    differing = total = 0
    for own, other in zip(ours.instances, theirs.instances, strict=True):
        assert other.score == pytest.approx(own.score, abs=1e-3)
        assert other.bbox == own.bbox
        differing += int((own.mask() != other.mask()).sum())
        total += int(own.mask().sum())
    assert differing <= 0.0005 * total


def test_semantic(tmp_path: Path) -> None:
    folder = folder_of("semantic_cityscapes19_landscape", 19, tmp_path / "model")
    photo = np.asarray(Image.open(GOLDEN / "images" / "coffee_600x400.png").convert("RGB"))
    ours = pointrend.load(folder.path)(photo, Options(task="semantic"))
    theirs = detectron2.load(folder)(photo, Options(task="semantic"))
    same = {segment.category: segment.mask() for segment in ours.segments}
    agreeing = sum(int((segment.mask() & same[segment.category]).sum()) for segment in theirs.segments)
    assert agreeing >= 0.999 * photo.shape[0] * photo.shape[1]
