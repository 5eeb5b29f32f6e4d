"""``pointrend predict --boxes``: COCO results in, the same with masks out."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from typer.testing import CliRunner, Result

import pointrend
from pointrend.cli.main import app
from pointrend.errors import InvalidOption
from pointrend.images.inputs import pixels
from pointrend.predict.box_results import BoxResults, BoxResultsError
from pointrend.predict.images import find_images
from pointrend.structures.options import Options

DEMO = Path(__file__).parents[1] / "demo"
KNOWN = [{"id": 1, "name": "person"}, {"id": 17, "name": "cat"}]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Named as COCO's images are."""
    images = tmp_path / "images"
    images.mkdir()
    Image.open(DEMO / "astronaut.png").convert("RGB").resize((128, 128)).save(images / "000000000139.png")
    Image.open(DEMO / "chelsea.png").convert("RGB").resize((150, 100)).save(images / "chelsea.png")
    return images


def written(path: Path, tree: Any) -> Path:
    path.write_text(json.dumps(tree))
    return path


def predict(folder: Path, boxes: Path, out: Path, *more: str) -> Result:
    command = ["predict", str(folder), "--out", str(out), "--boxes", str(boxes), "--engine", "eager", *more]
    return CliRunner().invoke(app, command)


def test_masks_are_added_in_the_order_of_the_file(folder: Path, tmp_path: Path) -> None:
    results = [
        {"image_id": 139, "category_id": 1, "bbox": [5, 2, 85, 125], "score": 0.875, "track": "a"},
        {"image_id": "chelsea", "category_id": 999, "bbox": [10.5, 5, 120, 90], "area": 10800},
        {"image_id": 139, "bbox": [60, 60, 68, 90], "score": 0.5},
        {"image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5},
    ]
    boxes, out = written(tmp_path / "boxes.json", results), tmp_path / "out"
    done = predict(folder, boxes, out, "--save", "coco,overlay,png")
    assert done.exit_code == 0, done.output
    assert "no image was given for the image_id 7." in done.stderr
    masked = json.loads((out / "coco" / "results.json").read_text())
    segmentations = [each["segmentation"] for each in masked]
    assert [{**each, "segmentation": None} for each in masked] == [
        {**results[0], "segmentation": None},
        {**results[1], "segmentation": None, "score": masked[1]["score"], "area": coco_mask.area(segmentations[1])},
        {**results[2], "category_id": 0, "segmentation": None},
    ]
    segmenter = pointrend.load("demo")
    first = segmenter(
        pixels(folder / "000000000139.png"), Options.parse({"boxes": [results[0]["bbox"], results[2]["bbox"]]})
    ).instances
    assert [first[0].segmentation, first[1].segmentation] == [segmentations[0], segmentations[2]]
    data = json.loads((out / "coco" / "instances.json").read_text())
    assert {each["id"]: each["file_name"] for each in data["images"]} == {
        139: "000000000139.png",
        "chelsea": "chelsea.png",
    }
    # What the model does not know, or nobody has said, is of no category; the least certain masks come first.
    assert sorted(each["category_id"] for each in data["annotations"]) == [0, 0, 1]
    assert data["categories"][-1] == {"id": 0, "name": "object"}
    with contextlib.redirect_stdout(io.StringIO()):
        loaded = COCO(str(out / "coco" / "instances.json")).loadRes(masked)
    assert len(loaded.getAnnIds(imgIds=[139])) == 2
    assert sorted(path.name for path in (out / "png" / "000000000139").iterdir()) == ["object-1.png", "person-1.png"]

    assert "0 done, 2 done before" in predict(folder, boxes, out, "--save", "coco").output
    results[2]["bbox"] = [60, 60, 60, 60]
    written(boxes, results)
    assert "1 done, 1 done before" in predict(folder, boxes, out, "--save", "coco").output


def test_any_number_of_boxes_is_segmented_in_the_order_of_the_file(folder: Path, tmp_path: Path) -> None:
    results = [{"image_id": 139, "bbox": [number % 90, number % 70, 30, 40], "n": number} for number in range(205)]
    path, out = written(tmp_path / "boxes.json", results), tmp_path / "out"
    done = predict(folder, path, out, "--save", "coco,uncertainty")
    assert done.exit_code == 0, done.output
    masked = json.loads((out / "coco" / "results.json").read_text())
    assert [each["n"] for each in masked] == list(range(205))
    segment, image = pointrend.load("demo"), pixels(folder / "000000000139.png")
    last = segment(image, Options.parse({"boxes": [each["bbox"] for each in results[200:]]}))
    assert [each["segmentation"] for each in masked[200:]] == [each.segmentation for each in last.instances]
    assert Image.open(out / "uncertainty" / "000000000139.png").size == (128, 128)

    results[150]["bbox"] = [128, 0, 20, 20]
    done = predict(folder, written(path, results), out)
    assert done.exit_code == 1
    assert "boxes[150] is [128.0, 0.0, 20.0, 20.0], outside the image" in done.stderr


def test_a_box_outside_its_image_fails_that_image_alone(folder: Path, tmp_path: Path) -> None:
    results = [{"image_id": 139, "bbox": [5, 2, 85, 125]}, {"image_id": "chelsea", "bbox": [150, 0, 20, 20]}]
    out = tmp_path / "out"
    done = predict(folder, written(tmp_path / "boxes.json", results), out)
    assert done.exit_code == 1
    assert "1 done, 0 done before, 1 failed" in done.stdout
    assert "boxes[0] is [150.0, 0.0, 20.0, 20.0], outside the image of 150x100 pixels" in done.stderr
    assert [each["image_id"] for each in json.loads((out / "coco" / "results.json").read_text())] == [139]


def test_options_that_choose_among_detections_are_refused(folder: Path, tmp_path: Path) -> None:
    boxes = written(tmp_path / "boxes.json", [])
    refused = predict(folder, boxes, tmp_path / "out", "--score-threshold", "0.7")
    assert isinstance(refused.exception, InvalidOption)
    assert "omit score_threshold" in str(refused.exception)


def test_a_data_set_tells_file_names_and_categories(folder: Path, tmp_path: Path) -> None:
    tree = {
        "images": [{"id": 5, "file_name": "chelsea.png"}, {"id": 6, "file_name": "elsewhere/000000000139.png"}],
        "categories": [{"id": 1, "name": "Cat"}, {"id": 2, "name": "helmet"}],
        "annotations": [
            {"image_id": image, "category_id": category, "bbox": [1, 2, 3, 4]}
            for image, category in ((5, 1), (5, 2), (6, 1), (139, 1))
        ],
    }
    boxes = BoxResults.read(written(tmp_path / "boxes.json", tree))
    (first, second), others = boxes.attach(find_images([folder]), KNOWN)[0].images, [139]
    assert first.given is not None
    assert second.given is not None
    assert (first.given.image_id, [box.category for box in first.given.prompts]) == (6, ["Cat"])
    assert (second.given.image_id, [box.category for box in second.given.prompts]) == (5, ["Cat", None])
    assert boxes.attach(find_images([folder]), KNOWN)[1] == others


def test_an_image_that_the_file_does_not_name_has_no_boxes(folder: Path, tmp_path: Path) -> None:
    tree = {
        "images": [{"id": 139, "file_name": "chelsea.png"}],
        "annotations": [{"image_id": 139, "bbox": [1, 2, 3, 4]}],
    }
    found, _ = BoxResults.read(written(tmp_path / "boxes.json", tree)).attach(find_images([folder]), KNOWN)
    given = {image.file_name: image.given.prompts for image in found.images if image.given is not None}
    assert {name: len(prompts) for name, prompts in given.items()} == {"000000000139.png": 0, "chelsea.png": 1}


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        ({"results": []}, "must be a list of COCO results"),
        ([{"image_id": 1}], "result 0 of .* must have an image_id and a bbox"),
        ([{"image_id": 139, "bbox": [1, 2, 3]}], r"000000000139.png: boxes\[0\] must be four numbers"),
        ({"annotations": [], "images": [{"id": 1}]}, "images of .* must be a list of objects with id and file_name"),
    ],
)
def test_a_file_of_other_things_is_refused(folder: Path, tmp_path: Path, tree: Any, said: str) -> None:
    path = written(tmp_path / "boxes.json", tree)
    with pytest.raises(BoxResultsError, match=said):
        BoxResults.read(path).attach(find_images([folder]), KNOWN)


def test_two_images_of_one_id_are_told_apart_by_the_list_only(folder: Path, tmp_path: Path) -> None:
    (folder / "more").mkdir()
    Image.new("RGB", (8, 8)).save(folder / "more" / "chelsea.jpg")
    path = written(tmp_path / "boxes.json", [{"image_id": "chelsea", "bbox": [1, 2, 3, 4]}])
    with pytest.raises(
        BoxResultsError, match=r"'chelsea' fits .*chelsea.png and .*chelsea.jpg. Give boxes.json a list"
    ):
        BoxResults.read(path).attach(find_images([folder]), KNOWN)
