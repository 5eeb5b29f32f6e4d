"""A training that goes on elsewhere from its small file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

import pointrend
from pointrend.config.files import config_to_dict
from pointrend.config.schema import ModelConfig, OneStageConfig
from pointrend.errors import CheckpointError, ConfigError, DataError
from pointrend.modeling.one_stage.network import OneStage
from pointrend.structures.options import Options
from pointrend.training.budget import Budget
from pointrend.training.initialise import randomise
from pointrend.training.log import CSV_NAME, read_rows
from pointrend.training.optimiser import MovingAverage
from pointrend.training.run import train
from pointrend.training.state import RESUME_NAME, Progress, read_resume, write_resume
from tests.training import toy


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy.write(tmp_path_factory.mktemp("toy"), train=12)


def recipe(folder: Path, config: OneStageConfig, **keys: object) -> Path:
    path = folder / "recipe.yaml"
    tree = {"name": "toy", "crop": [96, 128], "batch": 2, "warmup": 4, "schedule": "constant", "frozen": ["detector"]}
    tree |= {"steps": {"masks": 4, "points": 49}, "model": config_to_dict(config)} | keys
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    return path


def test_a_training_goes_on_from_its_small_file(
    tmp_path: Path, data: Path, one_stage_config: OneStageConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    masks = recipe(tmp_path, one_stage_config)
    train(masks, data, tmp_path / "first", Budget.parse("20steps"), workers=0)
    first = tmp_path / "first" / RESUME_NAME
    state = load_file(first)
    torch.save({name: tensor for name, tensor in state.items() if name.startswith("detector.")}, tmp_path / "d.pt")
    (tmp_path / "whole").mkdir()
    whole = recipe(tmp_path / "whole", one_stage_config, frozen=[], teacher=str(tmp_path / "d.pt"))
    folder = train(whole, data, tmp_path / "second", Budget.parse("30steps"), workers=0, resume=first)
    assert "resumes at step 20" in " ".join(capsys.readouterr().out.split())
    rows = read_rows(tmp_path / "second" / CSV_NAME)
    assert [row["step"] for row in rows] == [30]
    assert 5e-4 < rows[0]["rate"] < 1e-3  # smoothed: warmed up anew from step 20 on, then constant
    assert rows[0]["loss_class"] < 0.05
    after = load_file(tmp_path / "second" / RESUME_NAME)
    assert not torch.equal(after["detector.backbone.stem.weight"], state["detector.backbone.stem.weight"])
    # A state of its own wins over the file.
    train(whole, data, tmp_path / "second", Budget.parse("31steps"), workers=0, resume=first)
    assert "resumes at step 30" in " ".join(capsys.readouterr().out.split())
    segmenter = pointrend.load(folder.path)
    image = np.zeros((60, 90, 3), dtype=np.uint8)
    assert segmenter(image, Options(score_threshold=0.9, masks="rle")).width == 90


def test_the_file_gives_averaged_weights_and_figures_back(tmp_path: Path, one_stage_config: OneStageConfig) -> None:
    model = OneStage(one_stage_config)
    randomise(model)
    average = MovingAverage(model, 0.9)
    average.steps = 123
    write_resume(tmp_path / "r.safetensors", average, Progress(77, 12.5))
    other = OneStage(one_stage_config)
    taken = MovingAverage(other, 0.9)
    progress = read_resume(tmp_path / "r.safetensors", other, taken)
    assert (progress.step, progress.seconds, progress.began, taken.steps) == (77, 12.5, 77, 123)
    for name, tensor in other.state_dict().items():
        torch.testing.assert_close(tensor, average.state[name], rtol=1e-3, atol=1e-6)
        assert torch.equal(tensor, taken.state[name])


def test_what_is_no_such_file_is_named(
    tmp_path: Path, data: Path, one_stage_config: OneStageConfig, tiny_config: ModelConfig
) -> None:
    path = tmp_path / "r.safetensors"
    model = OneStage(one_stage_config)
    average = MovingAverage(model, 0.9)
    with pytest.raises(CheckpointError, match="is not a training state"):
        read_resume(path, model, average)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match=r"is not a training state.*step"):
        read_resume(path, model, average)
    write_resume(path, MovingAverage(torch.nn.Linear(2, 2), 0.9), Progress())
    with pytest.raises(CheckpointError, match="does not fit the model's configuration"):
        read_resume(path, model, average)
    masks = recipe(tmp_path, one_stage_config, without=["zoo"])
    with pytest.raises(DataError, match="without names 'zoo', which is not a source of the data"):
        train(masks, data, tmp_path / "out", Budget.parse("1steps"), workers=0)
    with pytest.raises(ConfigError, match=r"teacher is for a one-stage model .* whose detector is not frozen"):
        train(recipe(tmp_path, one_stage_config, teacher="d.pt"), data, tmp_path / "out", Budget.parse("1steps"))
    other = recipe(tmp_path, one_stage_config, model=config_to_dict(tiny_config))
    with pytest.raises(ConfigError, match="frozen names 'detector', which this model does not have"):
        train(other, data, tmp_path / "out", Budget.parse("1steps"), workers=0)
