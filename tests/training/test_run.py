"""``pointrend train`` as a user runs it: begun, killed, gone on, finished, and its model used."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

import pointrend
from pointrend.config.files import config_to_dict
from pointrend.config.schema import ModelConfig
from pointrend.datasets.folds import Fold, fold_of
from pointrend.errors import CheckpointError, ConfigError
from pointrend.structures.options import Options
from pointrend.training.budget import Budget
from pointrend.training.log import CSV_NAME, CURVE_NAME, read_rows
from pointrend.training.run import train
from pointrend.training.state import STATE_NAME
from tests.training import toy

STEPS = {"anchors": 64, "regions": 32, "masks": 8, "points": 49, "proposals": 50}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy.write(tmp_path_factory.mktemp("toy"), train=24)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory, tiny_config: ModelConfig) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "toy.yaml"
    keys = {"crop": 128, "batch": 2, "warmup": 5, "steps": STEPS, "model": config_to_dict(tiny_config), "name": "toy"}
    path.write_text(yaml.safe_dump(keys), encoding="utf-8")
    return path


def test_killed_and_gone_on(tmp_path: Path, data: Path, recipe: Path) -> None:
    command = [sys.executable, "-m", "pointrend", "train", str(recipe), "--data", str(data), "--out", str(tmp_path)]
    command += ["--threads", "1", "--workers", "1", "--save-every", "2s", "--budget"]
    process = subprocess.Popen([*command, "10m"], stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        deadline = time.monotonic() + 120
        while not (tmp_path / STATE_NAME).exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = subprocess.run([*command, "8s"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "resumes at step" in " ".join(done.stdout.split())
    steps = [row["step"] for row in read_rows(tmp_path / CSV_NAME)]
    assert steps == sorted(set(steps))
    assert Image.open(tmp_path / CURVE_NAME).size == (960, 540)
    segmenter = pointrend.load(tmp_path / "model")
    assert [category.name for category in segmenter.info.categories] == ["square", "disc", "triangle"]
    photo = np.asarray(Image.open(data / "images" / "train-1.png"))
    prediction = segmenter(photo, Options(score_threshold=0.0))
    assert (prediction.width, prediction.height) == (192, 192)


def test_a_finished_training_starts_another_with_fewer_categories(
    tmp_path: Path, data: Path, recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = train(recipe, data, tmp_path / "first", Budget.parse("3.0s"), workers=0)
    narrow = recipe.with_name("narrow.yaml")
    narrow.write_text(recipe.read_text() + "categories: [3, 1]\n")
    folder = train(narrow, data, tmp_path / "second", Budget.parse("2.0s"), init=str(first.path), workers=0)
    assert [category.name for category in folder.info.categories] == ["triangle", "square"]
    assert "by category" in capsys.readouterr().out


def test_a_state_of_another_recipe_is_not_taken_up(tmp_path: Path, data: Path, recipe: Path) -> None:
    train(recipe, data, tmp_path, Budget.parse("0.5s"), workers=0)
    narrow = recipe.with_name("narrow.yaml")
    narrow.write_text(recipe.read_text() + "categories: [3, 1]\n")
    with pytest.raises(CheckpointError, match="does not belong to this recipe"):
        train(narrow, data, tmp_path, Budget.parse("5.0s"), workers=0)


def test_a_trunk_that_is_not_installed_is_named(tmp_path: Path, data: Path, recipe: Path) -> None:
    with pytest.raises(CheckpointError, match="pip install no_such_package"):
        train(recipe, data, tmp_path, Budget.parse("1.0s"), init="no_such_package:weights.pth", workers=0)


def test_a_published_model_that_was_not_pulled_is_named(
    tmp_path: Path, data: Path, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POINTREND_HOME", str(tmp_path / "home"))
    with pytest.raises(ConfigError, match="pointrend weights pull coco-r50-3x"):
        train(recipe, data, tmp_path / "out", Budget.parse("1s"), init="coco-r50-3x", workers=0)
    with pytest.raises(ConfigError, match="'coco-r50' is not a model's name"):
        train(recipe, data, tmp_path / "out", Budget.parse("1s"), init="coco-r50", workers=0)


def test_a_fold_is_not_learnt_from(
    tmp_path: Path, data: Path, recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [path.name for path in (data / "images").iterdir() if path.name.startswith("train")]
    train(recipe, data, tmp_path, Budget.parse("0.5s"), fold=Fold.parse("2/3"), workers=0)
    left = sum(fold_of(name, 3) != 1 for name in names)
    assert 0 < left < len(names)
    assert f"{left} photos, 3 categories" in capsys.readouterr().out
