from __future__ import annotations

import pytest
from torch import nn

from pointrend.config.schema import ModelConfig
from pointrend.modeling.rcnn import RCNN
from pointrend.training.config import TrainingConfig
from pointrend.training.optimiser import MovingAverage, build_optimiser, freeze, set_rate


@pytest.fixture(scope="module")
def settings(tiny_config: ModelConfig) -> TrainingConfig:
    return TrainingConfig(name="tiny", model=tiny_config, warmup=10, rate=1e-2, trunk_rate=0.5, weight_decay=0.1)


def test_rates_warm_up_and_fall_to_nothing(settings: TrainingConfig, tiny_config: ModelConfig) -> None:
    optimiser = build_optimiser(RCNN(tiny_config), settings)
    assert set_rate(optimiser, settings, 0, 0.0) == pytest.approx(1e-3)
    assert set_rate(optimiser, settings, 9, 0.0) == pytest.approx(1e-2)
    assert set_rate(optimiser, settings, 500, 0.5) == pytest.approx(5e-3)
    assert sorted({group["lr"] for group in optimiser.param_groups}) == pytest.approx([2.5e-3, 5e-3])
    assert set_rate(optimiser, settings, 999, 1.0) == pytest.approx(0)


def test_every_weight_that_learns_is_in_one_group_and_only_matrices_decay(
    settings: TrainingConfig, tiny_config: ModelConfig
) -> None:
    model = RCNN(tiny_config)
    freeze(model, ["stem", "res2"])
    optimiser = build_optimiser(model, settings)
    grouped = [id(parameter) for group in optimiser.param_groups for parameter in group["params"]]
    learning = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert sorted(grouped) == sorted(map(id, learning.values()))
    assert not any(name.startswith(("backbone.bottom_up.stem", "backbone.bottom_up.res2")) for name in learning)
    for group in optimiser.param_groups:
        assert {parameter.dim() > 1 for parameter in group["params"]} == {group["weight_decay"] > 0}


def test_the_average_follows_the_weights_and_takes_buffers_as_they_are() -> None:
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    weight = model.get_parameter("0.weight")
    nn.init.zeros_(weight)
    average = MovingAverage(model, decay=0.5)
    nn.init.ones_(weight)
    model.get_buffer("1.running_mean").fill_(7.0)
    average.update(model)
    # The first step looks back less far than the decay says: 2 / 11.
    assert float(average.state["0.weight"]) == pytest.approx(1 - 2 / 11)
    assert float(average.state["1.running_mean"]) == 7.0
    for _ in range(20):
        average.update(model)
    assert float(average.state["0.weight"]) == pytest.approx(1.0, abs=1e-4)
    assert weight.item() == 1.0
