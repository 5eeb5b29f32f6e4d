"""A small R-CNN and a one-stage model learn three new categories in CPU minutes, by the commands that a user types."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from typer.testing import CliRunner

from pointrend.cli.main import app
from pointrend.config.files import config_to_dict, read_config
from pointrend.config.schema import OneStageConfig
from pointrend.modeling.one_stage.network import OneStage
from pointrend.structures.model_info import Category, ModelInfo
from pointrend.training.initialise import randomise
from pointrend.training.run import RECIPES
from pointrend.weights.checkpoint import read_checkpoint, save_safetensors
from pointrend.weights.convert import convert
from pointrend.weights.folder import ModelFolder
from tests.demo_models import SMALL_RCNN
from tests.training import toy

PHOTOS = Path(__file__).parents[1] / "demo"
SIDE = 128


def invoke(*arguments: str | Path) -> str:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return "".join(done.output.split())  # the console breaks lines within long names


def shapes(folder: Path) -> Path:
    """Data with three categories that no model here has seen."""
    return toy.write(
        folder,
        train=200,
        val=40,
        side=SIDE,
        train_grounds=[PHOTOS / "astronaut.png", PHOTOS / "chelsea.png"],
        val_grounds=[PHOTOS / "coffee.png"],
    )


def train(folder: Path, recipe: dict[str, Any], data: Path, budget: str) -> str:
    """Train into ``folder / "out"``; the budget is in steps, not minutes: the same comes out of a slow machine."""
    path = folder / "toy.yaml"
    path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    options = ["--budget", budget, "--seed", "0", "--threads", "1", "--workers", "0"]
    return invoke("train", path, "--data", data, "--out", folder / "out", *options)


@pytest.mark.slow
@pytest.mark.timeout(1800)  # two minutes of a core, of which a busy machine may give a tenth
def test_a_small_rcnn_learns_three_new_categories(tmp_path: Path) -> None:
    data = shapes(tmp_path / "data")
    network = config_to_dict(ModelFolder.open(SMALL_RCNN).config)
    network["INPUT"] |= {"MIN_SIZE_TEST": SIDE, "MAX_SIZE_TEST": SIDE}
    recipe = {
        "name": "toy",
        "init": str(SMALL_RCNN),
        "model": network,
        "crop": SIDE,
        "jitter": [0.8, 1.3],
        "copy_paste": 0.0,
        "batch": 4,
        "warmup": 20,
        "average": 0.97,
        "frozen": ["stem", "res2"],
        "steps": {"anchors": 128, "regions": 64, "masks": 12, "points": 98, "proposals": 100},
    }
    said = train(tmp_path, recipe, data, "160steps")
    assert "startsatstep0,0of160steps" in said
    _, _, after = said.partition("initialised:")
    remade, _, _ = after.partition("200photos")
    for head in ("box_predictor.cls_score", "mask_head.coarse_head.prediction", "mask_head.point_head.predictor"):
        assert f"roi_heads.{head}.weight" in remade
    assert "backbone" not in remade

    model = tmp_path / "out" / "model"
    assert [category.name for category in ModelFolder.open(model).info.categories] == ["square", "disc", "triangle"]
    invoke("eval", "--model", model, "--data", data, "--out", tmp_path / "report", "--bootstrap", "0")
    report = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
    refined = report["masks"]["refined"]["mask"]["everything"]["overall"]
    assert refined["ap50"] >= 60, refined


@pytest.fixture
def published(tmp_path: Path) -> ModelFolder:
    """NanoDet-Plus's published detector with mask heads that have learnt nothing."""
    config = read_config(RECIPES / "one-stage-network.yaml")
    assert isinstance(config, OneStageConfig)
    torch.manual_seed(0)
    network = OneStage(config)
    randomise(network)
    detector = read_checkpoint(Path(__file__).parents[1] / "golden" / "nanodet" / "detector.safetensors")
    save_safetensors(network.state_dict() | detector, tmp_path / "weights.safetensors")
    categories = tuple(Category(number, f"thing {number}") for number in range(1, config.num_classes + 1))
    info = ModelInfo("published", "1", categories=categories)
    return convert(tmp_path / "weights.safetensors", config, tmp_path / "published", info)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_one_stage_model_learns_them_from_labels(tmp_path: Path, published: ModelFolder) -> None:
    data = shapes(tmp_path / "data")
    network = config_to_dict(published.network)
    network["INPUT"] |= {"MIN_SIZE_TEST": SIDE, "MAX_SIZE_TEST": SIDE}
    recipe = {
        "name": "toy",
        "init": str(published.path),
        "model": network,
        "crop": SIDE,
        "jitter": [0.8, 1.3],
        "copy_paste": 0.0,
        "batch": 8,
        "rate": 2e-3,
        "warmup": 20,
        "average": 0.97,
        "steps": {"masks": 8, "points": 98},
    }
    said = train(tmp_path, recipe, data, "200steps")
    assert "8bycategory" in said  # whose boxes are taken
    assert "initialised" not in said

    model = tmp_path / "out" / "model"
    assert [category.name for category in ModelFolder.open(model).info.categories] == ["square", "disc", "triangle"]
    invoke("eval", "--model", model, "--data", data, "--out", tmp_path / "report", "--bootstrap", "0")
    report = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
    assert report["boxes"]["everything"]["overall"]["ap50"] >= 60
    assert report["masks"]["refined"]["mask"]["everything"]["overall"]["ap50"] >= 60
