from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pointrend.config.schema import ModelConfig
from pointrend.errors import CheckpointError, TrainingError
from pointrend.modeling.rcnn import RCNN
from pointrend.training.config import TrainingConfig
from pointrend.training.initialise import randomise
from pointrend.training.objective import SamplingConfig
from pointrend.training.optimiser import MovingAverage, build_optimiser
from pointrend.training.run import build_objective
from pointrend.training.state import RESUME_NAME, STATE_NAME, Progress, load_state, save_state
from pointrend.training.trainer import PATIENCE, Trainer
from tests.training.crops import make_sample

RECIPE = SamplingConfig(anchors=64, regions=32, masks=8, points=49, proposals=50)
PHOTO = make_sample([[10, 10, 60, 70], [70, 20, 120, 60]], [0, 2])


def trainer(config: ModelConfig, folder: Path, seed: int = 0) -> Trainer:
    torch.manual_seed(seed)
    settings = TrainingConfig(name="tiny", model=config, batch=2, warmup=2, steps=RECIPE)
    model = RCNN(config)
    randomise(model)
    average = MovingAverage(model, settings.average)
    objective = build_objective(model, settings)
    return Trainer(
        model,
        objective,
        build_optimiser(model, settings),
        average,
        settings=settings,
        folder=folder,
        device=torch.device("cpu"),
    )


def test_a_resumed_training_takes_the_same_steps(tmp_path: Path, tiny_config: ModelConfig) -> None:
    whole = trainer(tiny_config, tmp_path)
    for step in range(2):
        whole.step([PHOTO, PHOTO], step, 0.1)
    save_state(tmp_path, whole.model, whole.optimiser, whole.average, Progress(2, 1.5))
    torch.manual_seed(9)
    expected = whole.step([PHOTO, PHOTO], 2, 0.2)

    resumed = trainer(tiny_config, tmp_path, seed=5)
    progress = load_state(tmp_path, resumed.model, resumed.optimiser, resumed.average)
    assert (progress.step, progress.seconds) == (2, 1.5)
    torch.manual_seed(9)
    assert resumed.step([PHOTO, PHOTO], 2, 0.2) == pytest.approx(expected, rel=1e-4)
    for name, tensor in whole.average.state.items():
        torch.testing.assert_close(resumed.average.state[name], tensor, rtol=1e-4, atol=1e-6)


def test_a_failed_write_leaves_the_state_before(
    tmp_path: Path, tiny_config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = trainer(tiny_config, tmp_path)
    save_state(tmp_path, one.model, one.optimiser, one.average, Progress(1, 1.0))
    before = (tmp_path / STATE_NAME).read_bytes()

    def half(tree: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(OSError, match="No space left"):
        save_state(tmp_path, one.model, one.optimiser, one.average, Progress(2, 2.0))
    assert (tmp_path / STATE_NAME).read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {STATE_NAME, RESUME_NAME}


def test_a_damaged_state_is_named(tmp_path: Path, tiny_config: ModelConfig) -> None:
    (tmp_path / STATE_NAME).write_bytes(b"damaged")
    one = trainer(tiny_config, tmp_path)
    with pytest.raises(CheckpointError, match=r"state\.pt does not belong to this recipe, or is damaged"):
        load_state(tmp_path, one.model, one.optimiser, one.average)


def test_a_step_that_is_not_finite_changes_nothing_and_many_end_the_training(
    tmp_path: Path, tiny_config: ModelConfig
) -> None:
    one = trainer(tiny_config, tmp_path)
    with torch.no_grad():
        one.model.get_parameter("roi_heads.box_predictor.cls_score.bias").fill_(float("nan"))
    weight = one.model.get_parameter("backbone.fpn_output2.weight")
    kept = weight.detach().clone()
    for step in range(PATIENCE - 1):
        one.step([PHOTO], step, 0.0)
    assert torch.equal(weight, kept)
    with pytest.raises(TrainingError, match="not finite in 20 steps in a row"):
        one.step([PHOTO], PATIENCE, 0.0)
