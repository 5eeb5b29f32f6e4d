"""COCO files of the command line hold what FiftyOne's COCO importer (1.22.1) needs, by pycocotools' reading.

FiftyOne itself needs a database and is not run. What its importer does with each field is said beside the assertion.
"""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from typer.testing import CliRunner

from pointrend.cli.main import app

DEMO = Path(__file__).parents[1] / "demo"
# The arguments of its COCOObject that it does not take for attributes of the label.
NAMED = {"id", "image_id", "category_id", "bbox", "segmentation", "keypoints", "score", "area", "iscrowd"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``pointrend predict photos --out masks --save coco`` writes."""
    out = tmp_path_factory.mktemp("fiftyone")
    photos = out / "photos"
    photos.mkdir()
    for name in ("astronaut.png", "chelsea.png"):
        (photos / name).write_bytes((DEMO / name).read_bytes())
    command = ["predict", str(photos), "--out", str(out / "masks"), "--save", "coco", "--score-threshold", "0.2"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    return out


@pytest.fixture(scope="module")
def data(folder: Path) -> dict[str, Any]:
    tree = json.loads((folder / "masks" / "coco" / "instances.json").read_text())
    assert isinstance(tree, dict)
    return tree


def test_images_are_found_by_their_names_under_the_folder(folder: Path, data: dict[str, Any]) -> None:
    for number, image in enumerate(data["images"], start=1):
        assert (folder / "photos" / image["file_name"]).is_file()
        assert image["width"] > 0
        assert image["height"] > 0
        assert image["id"] == number  # add_coco_labels takes an image_id for the place of a sample, from 1


def test_every_annotation_has_its_fields_and_the_rest_are_attributes(data: dict[str, Any]) -> None:
    names = {category["id"]: category["name"] for category in data["categories"]}
    images = {image["id"] for image in data["images"]}
    assert {annotation["image_id"] for annotation in data["annotations"]} == images
    for annotation in data["annotations"]:
        assert names[annotation["category_id"]]
        assert 0.2 <= annotation["score"] <= 1  # becomes `confidence`
        assert annotation["iscrowd"] == 0
        assert set(annotation) - NAMED == {"mask_score", "edge_uncertainty"}
        assert all(isinstance(annotation[name], float) for name in ("mask_score", "edge_uncertainty"))
    assert len({annotation["id"] for annotation in data["annotations"]}) == len(data["annotations"])


def test_a_mask_cut_to_its_box_as_fiftyone_cuts_it_is_whole(folder: Path, data: dict[str, Any]) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(folder / "masks" / "coco" / "instances.json"))
    for annotation in coco.loadAnns(coco.getAnnIds()):
        x, y, width, height = annotation["bbox"]  # without which there would be no label
        image = coco.loadImgs(annotation["image_id"])[0]
        assert min(x, y) >= 0  # a slice from below 0 would begin at the other side
        assert x + width <= image["width"]
        assert y + height <= image["height"]
        mask = coco_mask.decode(annotation["segmentation"]).astype(bool)
        assert np.array_equal(mask, coco.annToMask(annotation))
        cut = mask[round(y) : round(y + height), round(x) : round(x + width)]
        assert cut.sum() == mask.sum() == annotation["area"] > 0


def test_results_have_no_boxes_and_so_no_labels(folder: Path) -> None:
    results = json.loads((folder / "masks" / "coco" / "results.json").read_text())
    assert results
    assert not any("bbox" in result for result in results)
