"""`pointrend eval` from end to end, with the demo model on real photos."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

import pointrend
from pointrend.cli.main import app
from pointrend.config.schema import ConvMaskConfig, ModelConfig, OneStageConfig
from pointrend.datasets.coco import DatasetImage
from pointrend.datasets.folds import fold_of
from pointrend.datasets.ground_truth import GroundTruth
from pointrend.errors import ConfigError, DataError, InvalidOption
from pointrend.evaluation.contact_sheet import choose
from pointrend.evaluation.predictions import choose_heads, run
from pointrend.images.decode import decode
from pointrend.weights.checkpoint import read_checkpoint, save_safetensors
from pointrend.weights.folder import ModelFolder
from tests.demo_models import REFERENCE, SMALL_RCNN
from tests.labelled import EVERYTHING, label

PHOTOS = ("astronaut", "chelsea", "coffee")


def invoke(*arguments):
    return CliRunner().invoke(app, ["eval", *map(str, arguments)])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The test photos with what a small R-CNN finds in them as the truth."""
    folder = tmp_path_factory.mktemp("data")
    label(folder, PHOTOS, SMALL_RCNN)
    return folder


@pytest.fixture(scope="module")
def evaluated(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "report"
    result = invoke("--model", SMALL_RCNN, "--data", data, "--out", out, "--bootstrap", 50, "--sheet", 2)
    assert result.exit_code == 0, result.output
    return result.output, out


def test_what_the_model_finds_is_100_against_itself(evaluated, data):
    _, out = evaluated
    report = json.loads((out / "report.json").read_text())
    objects = len(json.loads((data / "instances_val.json").read_text())["annotations"])

    assert objects > 3
    assert (report["photos"], report["objects"], report["sources"]) == (3, objects, {"faces": 2, "things": 1})
    for kind in (report["boxes"], report["masks"]["refined"]["mask"], report["masks"]["refined"]["boundary"]):
        for figures in (kind["everything"], *kind["by_source"].values()):
            assert (figures["overall"]["ap"], figures["overall"]["recall"]) == (100, 100)
    coarse = report["masks"]["coarse"]
    assert coarse["boundary"]["everything"]["overall"]["ap"] < coarse["mask"]["everything"]["overall"]["ap"] < 100
    assert report["reliable"] == list(report["reliability"])


def test_the_report_says_what_was_run(evaluated, data):
    report = json.loads((evaluated[1] / "report.json").read_text())
    info = ModelFolder.open(SMALL_RCNN).info

    assert (report["model"]["name"], report["model"]["version"]) == (info.name, info.version)
    assert len(report["model"]["sha256"]) == 64
    assert report["command"] == f"pointrend eval --model rcnn_model --data {data.name} --bootstrap 50"
    assert report["speed"]["images_per_second"] > 0
    assert {(item["one"], item["other"], item["measure"], item["over"]) for item in report["differences"]} >= {
        ("refined", "coarse", "mask", "all"),
        ("refined", "coarse", "boundary", "all"),
    }
    for item in report["differences"]:
        assert item["ap"]["low"] <= item["ap"]["value"]


def test_in_cross_validation_each_model_sees_its_own_fold(data, tmp_path):
    """The second model is blind: what it should have found is missed."""
    demo, blind = SMALL_RCNN, tmp_path / "blind"
    shutil.copytree(demo, blind)
    state = read_checkpoint(blind / "model.safetensors")
    state["roi_heads.box_predictor.cls_score.bias"][-1] = 1e4  # everything is background
    save_safetensors(state, blind / "model.safetensors")
    names: dict[int, list[int]] = {0: [], 1: []}
    for photo in GroundTruth.read(data, "val", ModelFolder.open(demo).info.categories).images:
        names[fold_of(photo.path.name, 2)].append(photo.id)
    assert all(names.values())

    result = invoke("--data", data, "--out", tmp_path / "out", "--bootstrap", 0, "--model", demo, "--model", blind)

    assert result.exit_code == 0, result.output
    seen = {item["image_id"] for item in json.loads((tmp_path / "out" / "detections.json").read_text())}
    assert seen == set(names[0])


def test_different_networks_are_not_judged_as_one(data):
    result = invoke("--data", data, "--model", "demo", "--model", REFERENCE)
    assert isinstance(result.exception, ConfigError)
    assert "cannot be judged together" in str(result.exception)


def test_detections_are_coco_results(evaluated, data):
    results = json.loads((evaluated[1] / "detections.json").read_text())
    annotations = json.loads((data / "instances_val.json").read_text())["annotations"]

    assert [item["segmentation"] for item in results] == [item["segmentation"] for item in annotations]
    assert set(results[0]) == {"image_id", "category_id", "bbox", "score", "segmentation"}


def test_tables_are_on_the_terminal_and_in_markdown(evaluated):
    output, out = evaluated
    markdown = (out / "report.md").read_text()

    for title in ("Differences between mask heads", "By category", "By source"):
        assert title in output
        assert f"### {title}" in markdown
    assert "| refined boundary | 100.0 | 100.0 | 100.0 |" in markdown
    tables = [block.splitlines() for block in markdown.split("\n\n") if block.startswith("|")]
    assert len(tables) == 4
    for table in tables:
        assert len({line.count("|") for line in table}) == 1  # as many cells in each row
    assert max(map(len, output.splitlines())) <= 80


def test_the_contact_sheet_shows_as_many_photos_as_asked_for(evaluated):
    with Image.open(evaluated[1] / "contact_sheet.png") as sheet:
        assert sheet.info["srgb"] == 0
        assert (sheet.width, sheet.height) == (2 * 408 + 8, 430 + 8)
        colours = sheet.convert("RGB").getcolors(2**24)
    assert colours is not None
    assert len(colours) > 10_000  # photographs


def test_photos_of_a_sheet_are_taken_from_each_source_in_turn():
    def group(source, count):
        return [DatasetImage(index, Path(f"{source}{index}"), 1, 1, source, None) for index in range(count)]

    photos = [*group("many", 50), *group("few", 2), *group("some", 5)]

    sources = [photo.source for photo in choose(photos, 9)]

    assert sources == ["many", "few", "some"] * 2 + ["many", "some"] + ["many"]
    assert choose(photos, 9) == choose(photos, 9)
    assert len(set(choose(photos, 99))) == 57


def test_nothing_is_written_where_no_folder_is_named(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    result = invoke("--data", data, "--limit", 1, "--heads", "coarse", "--bootstrap", 0)

    assert result.exit_code == 0, result.output
    assert "coarse mask" in result.output
    assert "refined" not in result.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (("--heads", "refined,fine"), InvalidOption, "heads names 'fine', which is not one of refined, coarse, conv"),
        (("--limit", 0), InvalidOption, "limit must be at least 1, not 0"),
        (("--bootstrap", -1), InvalidOption, "bootstrap must be at least 0, not -1"),
        (("--sheet", 0), InvalidOption, "sheet must be at least 1, not 0"),
        (("--split", "test"), DataError, r"instances_test\.json: cannot be read"),
        (("--model", "nothing"), ConfigError, "no model 'nothing'"),
    ],
)
def test_a_bad_setting_is_named(data, arguments, kind, message):
    result = invoke("--data", data, *arguments)

    assert isinstance(result.exception, kind)
    with pytest.raises(kind, match=message):
        raise result.exception


def test_a_photo_of_another_size_than_its_label_says(data, tmp_path):
    shutil.copytree(data, tmp_path / "data")
    Image.new("RGB", (50, 60)).save(tmp_path / "data" / "images" / "astronaut.png")

    with pytest.raises(DataError, match=r"astronaut\.png is 50x60 pixels upright, labelled as 512x512"):
        raise invoke("--data", tmp_path / "data").exception

    (tmp_path / "data" / "images" / "astronaut.png").write_bytes(b"no photo")
    with pytest.raises(DataError, match=r"image astronaut\.png: This looks like text"):
        raise invoke("--data", tmp_path / "data").exception


def test_heads_are_those_that_the_model_has():
    demo = ModelFolder.open("demo").config
    assert isinstance(demo, OneStageConfig)
    point = replace(demo, conv_mask=None)
    both = replace(point, conv_mask=ConvMaskConfig())
    rcnn = ModelFolder.open(SMALL_RCNN).config
    assert isinstance(rcnn, ModelConfig)
    conv = replace(rcnn, coarse_mask=None, point_head=None, conv_mask=ConvMaskConfig())

    assert choose_heads(None, point) == ("refined", "coarse")
    assert choose_heads(None, both) == ("refined", "coarse", "conv")
    assert choose_heads(None, conv) == ("conv",)
    assert choose_heads(["conv", "refined"], both) == ("refined", "conv")
    with pytest.raises(InvalidOption, match="'conv', which this model does not have; it has refined, coarse"):
        choose_heads(["conv"], point)
    with pytest.raises(InvalidOption, match="heads names '', which is not one of"):
        choose_heads([""], point)


def test_each_head_draws_what_the_segmenter_would(data):
    """The demo model has a convolutional head beside its refined one; each draws its masks, detection runs once."""
    folder = ModelFolder.open("demo")
    photos = GroundTruth.read(data, "val", folder.info.categories).images[:2]

    answers = run([folder], photos, choose_heads(None, folder.config))

    segmenter = pointrend.load("demo")
    asked: dict[str, dict[str, Any]] = {"refined": {}, "coarse": {"refinement": 0}, "conv": {"mask_head": "conv"}}
    assert list(answers.by_head) == list(asked)
    for photo in photos:
        image = decode(photo.path.read_bytes())
        masks = []
        for head, options in asked.items():
            expected = segmenter(image, replace(EVERYTHING, **options))
            assert answers.by_head[head][photo.id].instances == expected.instances
            masks.append([instance.segmentation for instance in expected.instances])
        assert masks[0] != masks[1] != masks[2]
    assert answers.seconds > 0
