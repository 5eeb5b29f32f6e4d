"""What a one-stage model learns: masks from labels, boxes and classes from its teacher or from labels too."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pointrend.config.schema import OneStageConfig
from pointrend.errors import CheckpointError
from pointrend.modeling.one_stage.network import OneStage
from pointrend.training.config import TrainingConfig
from pointrend.training.initialise import randomise
from pointrend.training.objective import SamplingConfig
from pointrend.training.one_stage_objective import OneStageObjective, box_distillation, class_distillation, shake
from pointrend.training.optimiser import build_optimiser, freeze
from pointrend.training.run import build_objective
from tests.training.crops import make_sample

RECIPE = SamplingConfig(masks=8, points=49)
SAMPLES = [make_sample([[10, 10, 60, 70], [70, 20, 120, 60]], [0, 2]), make_sample([], [])]


@pytest.fixture
def model(one_stage_config: OneStageConfig) -> OneStage:
    torch.manual_seed(0)
    network = OneStage(one_stage_config)
    randomise(network)
    return network.train()


def images() -> torch.Tensor:
    return torch.stack([item.image for item in SAMPLES]).permute(0, 3, 1, 2).float() / 64 - 1


def test_the_teacher_asks_for_nothing_where_it_agrees(model: OneStage) -> None:
    teacher = copy.deepcopy(model.detector).requires_grad_(False)
    losses = OneStageObjective(model, RECIPE, teacher)(images(), SAMPLES)
    assert set(losses) == {"coarse", "points", "conv", "class", "box"}
    assert losses["class"].item() == losses["box"].item() == 0
    assert all(0.3 < losses[name].item() < 1.5 for name in ("coarse", "points", "conv"))
    with torch.no_grad():
        model.detector.head.get_parameter("predict3.bias").add_(2.0)
    changed = OneStageObjective(model, RECIPE, teacher)(images(), SAMPLES)
    assert changed["class"] > 0
    heavier = OneStageObjective(model, RECIPE, teacher, teacher_weight=4.0)(images(), SAMPLES)
    for name in ("class", "box"):
        torch.testing.assert_close(heavier[name], 4 * changed[name])


def test_a_teacher_of_other_categories_is_refused(model: OneStage, tmp_path: Path) -> None:
    other = OneStage(replace(model.config, num_classes=5))
    torch.save({f"detector.{name}": value for name, value in other.detector.state_dict().items()}, tmp_path / "d.pt")
    settings = TrainingConfig(name="tiny", model=model.config, teacher=str(tmp_path / "d.pt"))
    with pytest.raises(CheckpointError, match=r"teacher: .*d\.pt does not fit the model: .* leave teacher out"):
        build_objective(model, settings)


def test_a_detector_that_may_learn_learns_from_labels_where_there_is_no_teacher(model: OneStage) -> None:
    settings = TrainingConfig(name="tiny", model=model.config, steps=RECIPE)
    losses = build_objective(model, settings)(images(), SAMPLES)
    assert set(losses) == {"coarse", "points", "conv", "class", "box"}
    (losses["class"] + losses["box"]).backward()
    assert model.detector.head.get_parameter("predict3.weight").grad is not None
    assert model.detector.backbone.stem.weight.grad is not None
    frozen = build_objective(model, replace(settings, frozen=("detector",)))
    assert set(frozen(images(), SAMPLES)) == {"coarse", "points", "conv"}


def test_distillation_leads_back_to_the_teacher() -> None:
    torch.manual_seed(0)
    taught, taught_bins = torch.randn(2, 30, 5) * 2, torch.randn(2, 30, 4, 8)
    logits = (taught + torch.randn_like(taught)).requires_grad_()
    bins = (taught_bins + torch.randn_like(taught_bins)).requires_grad_()
    optimiser = torch.optim.Adam([logits, bins], lr=0.05)
    history = []
    for _ in range(200):
        loss = class_distillation(logits, taught) + box_distillation(bins, taught_bins, taught)
        history.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert history[-1] < 0.05 * history[0]
    assert (logits.sigmoid() - taught.sigmoid()).abs().mean() < 0.05


def test_a_cell_without_an_object_has_no_say_in_boxes() -> None:
    nothing = torch.full((1, 6, 3), -8.0)
    assert box_distillation(torch.randn(1, 6, 4, 8), torch.randn(1, 6, 4, 8), nothing) == 0


def test_masks_reach_the_detector_but_the_convolutional_head_does_not(model: OneStage) -> None:
    objective = OneStageObjective(model, RECIPE)
    losses = objective(images(), SAMPLES)
    losses["conv"].backward(retain_graph=True)
    assert model.mask_features.edges.weight.grad is None
    assert model.conv_mask_head is not None
    assert model.conv_mask_head.deconv.weight.grad is not None
    (losses["coarse"] + losses["points"]).backward()
    for name in (
        "detector.backbone.stem",
        "detector.pyramid.reduce5",
        "mask_features.edges",
        "mask_head.point_head.fc1",
    ):
        gradient = model.get_parameter(f"{name}.weight").grad
        assert gradient is not None, name
        assert gradient.isfinite().all()
    assert model.detector.head.get_parameter("predict3.weight").grad is None  # no label speaks of boxes


def test_context_maps_learn_through_the_points_alone(model: OneStage) -> None:
    prediction = model.mask_head.coarse_head.prediction
    masks = model.config.coarse_mask.side**2  # rows of the only mask; those of context follow
    losses = OneStageObjective(model, RECIPE)(images(), SAMPLES)
    (coarse,) = torch.autograd.grad(losses["coarse"], prediction.weight, retain_graph=True)
    (points,) = torch.autograd.grad(losses["points"], prediction.weight)
    assert coarse[:masks].any()
    assert not coarse[masks:].any()
    assert points[masks:].any(dim=1).all()


def test_a_frozen_detector_learns_nothing_and_is_not_in_the_optimiser(model: OneStage) -> None:
    freeze(model, ["detector"])
    losses = OneStageObjective(model, RECIPE)(images(), SAMPLES)
    torch.stack(list(losses.values())).sum().backward()
    assert all(parameter.grad is None for parameter in model.detector.parameters())
    settings = TrainingConfig(name="tiny", model=model.config, rate=0.1, trunk_rate=0.5)
    learnt = {id(each) for group in build_optimiser(model, settings).param_groups for each in group["params"]}
    assert not learnt & {id(each) for each in model.detector.parameters()}
    model.requires_grad_(True)
    scales = {
        id(each): group["scale"] for group in build_optimiser(model, settings).param_groups for each in group["params"]
    }
    assert {scales[id(each)] for each in model.detector.parameters()} == {0.5}
    assert {scales[id(each)] for each in model.mask_head.parameters()} == {1.0}


def test_a_batch_without_objects_has_no_mask_losses(model: OneStage) -> None:
    objective = OneStageObjective(model, RECIPE, copy.deepcopy(model.detector).requires_grad_(False))
    assert set(objective(images()[1:], SAMPLES[1:])) == {"class", "box"}


def test_shaken_boxes_stay_close() -> None:
    torch.manual_seed(0)
    boxes = torch.tensor([[10.0, 20, 110, 70]]).repeat(500, 1)
    moved = (shake(boxes, 0.1) - boxes).abs()
    assert moved[:, 0::2].max() <= 10
    assert moved[:, 1::2].max() <= 5
    assert moved.max() > 5
    assert torch.equal(shake(boxes, 0.0), boxes)


def test_regions_are_found_boxes_that_fit_and_labelled_ones(model: OneStage) -> None:
    objective = OneStageObjective(model, RECIPE)
    logits = torch.full((2, 3), -9.0)
    logits[0, 1] = 3.0
    logits[1, 1] = 3.0
    corners = torch.tensor([[32.0, 40, 8], [100, 100, 8]])
    bins = torch.zeros(2, 4, 8)  # 3.5 strides to each side
    regions = objective._regions(logits, bins, corners, SAMPLES[0])
    assert len(regions.boxes) == 3  # one found box fits an object, and both labelled ones
    assert regions.boxes[0].tolist() == [4, 12, 60, 68]
    assert regions.objects.tolist()[0] == 0
    assert sorted(regions.objects.tolist()[1:]) == [0, 1]
    assert regions.classes.tolist() == [0, 0, 0]
