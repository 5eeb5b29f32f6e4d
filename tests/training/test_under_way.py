"""The file that the next demo model's training continues from still fits the recipes."""

from pathlib import Path

import pytest
from safetensors.torch import load_file

from pointrend.config.schema import OneStageConfig
from pointrend.modeling.one_stage.network import OneStage
from pointrend.training.config import TrainingConfig
from pointrend.training.optimiser import MovingAverage
from pointrend.training.run import RECIPES
from pointrend.training.state import read_resume

FILE = Path(__file__).parent / "under_way" / "one-stage.safetensors"
PUBLISHED = Path(__file__).parents[1] / "golden" / "nanodet" / "detector.safetensors"


@pytest.mark.parametrize("recipe", ["one-stage-masks", "one-stage"])
def test_both_recipes_continue_from_it(recipe):
    config = TrainingConfig.from_file(RECIPES / f"{recipe}.yaml").model
    assert isinstance(config, OneStageConfig)
    model = OneStage(config)
    progress = read_resume(FILE, model, MovingAverage(model, 0.9995))
    assert progress.step > 7000
    assert all(tensor.isfinite().all() for tensor in model.state_dict().values())


def test_the_detector_stays_near_the_published_one_which_teaches_it():
    state = load_file(FILE)
    published = {f"detector.{name.removeprefix('detector.')}": value for name, value in load_file(PUBLISHED).items()}
    assert published.keys() <= state.keys()
    for name, tensor in published.items():
        if tensor.is_floating_point():
            moved = (state[name].float() - tensor.float()).norm() / tensor.float().norm()
            assert moved < 0.25, name
