from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pointrend.config.files import read_config
from pointrend.config.schema import ModelConfig
from pointrend.modeling.rcnn import RCNN
from pointrend.training.initialise import randomise
from pointrend.training.objective import SamplingConfig, step_losses
from tests.training.crops import make_sample

KEYS = Path(__file__).parents[1] / "golden" / "keys"
PUBLISHED = sorted(path for path in KEYS.glob("*.config.yaml") if "semantic" not in path.name)
RECIPE = SamplingConfig(anchors=64, regions=32, masks=8, points=49, proposals=50)


@pytest.fixture
def model(tiny_config: ModelConfig) -> RCNN:
    torch.manual_seed(1)
    model = RCNN(tiny_config)
    randomise(model)
    return model.train()


def losses_of(model: RCNN, *samples: object) -> dict[str, torch.Tensor]:
    images = torch.randn(len(samples), 3, 128, 128)
    return step_losses(model, images, samples, RECIPE)  # type: ignore[arg-type]


def test_all_losses_are_finite_and_undecided_at_first(model: RCNN) -> None:
    samples = [make_sample([[10, 10, 60, 70], [70, 20, 120, 60]], [0, 2]), make_sample([[30, 40, 90, 100]], [1])]
    losses = losses_of(model, *samples)
    assert set(losses) == {"rpn_class", "rpn_box", "box_class", "box", "coarse", "points", "conv"}
    assert all(bool(value.isfinite()) for value in losses.values())
    for name in ("coarse", "points", "conv", "rpn_class"):
        assert losses[name].item() == pytest.approx(0.693, abs=0.1)
    assert 0.5 < losses["box_class"].item() < 3


def test_everything_that_should_learn_gets_a_gradient_and_the_second_head_leaves_the_trunk_alone(model: RCNN) -> None:
    losses = losses_of(model, make_sample([[10, 10, 60, 70]], [0]))
    losses["conv"].backward(retain_graph=True)
    touched = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert touched
    assert all(name.startswith("roi_heads.conv_mask_head.") for name in touched)
    sum(value for name, value in losses.items() if name != "conv").backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


def test_a_photo_without_objects_has_no_mask_loss(model: RCNN) -> None:
    losses = losses_of(model, make_sample([], []))
    assert set(losses) == {"rpn_class", "rpn_box", "box_class", "box"}
    assert losses["rpn_box"].item() == 0
    sum(losses.values()).backward()


def test_without_any_label_nothing_is_background(model: RCNN) -> None:
    losses = losses_of(model, make_sample([], [], labelled=[False] * 3))
    assert losses["rpn_class"].item() == 0
    assert losses["box_class"].item() == pytest.approx(0, abs=1e-4)


def test_a_mask_rcnn_learns_too(tiny_config: ModelConfig) -> None:
    mask_rcnn = RCNN(replace(tiny_config, coarse_mask=None, point_head=None)).train()
    randomise(mask_rcnn)
    losses = losses_of(mask_rcnn, make_sample([[10, 10, 60, 70]], [0]))
    assert set(losses) == {"rpn_class", "rpn_box", "box_class", "box", "mask"}
    torch.stack(list(losses.values())).sum().backward()
    assert [name for name, parameter in mask_rcnn.named_parameters() if parameter.grad is None] == []


@pytest.mark.slow
@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.name.split(".")[0])
def test_one_step_of_each_published_model_is_finite(path: Path) -> None:
    config = read_config(path)
    torch.manual_seed(0)
    assert isinstance(config, ModelConfig)
    model = RCNN(config)
    randomise(model)
    sample = make_sample([[10, 10, 60, 70]], [1], num_classes=config.num_classes)
    losses = step_losses(model.train(), torch.randn(1, 3, 128, 128), [sample], RECIPE)
    masks = {"coarse", "points"} if config.point_head is not None else {"mask"}
    assert set(losses) == {"rpn_class", "rpn_box", "box_class", "box"} | masks
    total = torch.stack(list(losses.values())).sum()
    total.backward()
    assert bool(total.isfinite())
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    assert len(gradients) == len(list(model.parameters()))
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)
    names = ("backbone.fpn_lateral2.weight", "roi_heads.box_predictor.cls_score.weight")
    masks_parameters = model.get_submodule("roi_heads.mask_head").parameters()
    learning = (*map(model.get_parameter, names), *masks_parameters)
    before = [parameter.detach().clone() for parameter in learning]
    torch.optim.SGD(model.parameters(), 0.1).step()
    assert not any(torch.equal(parameter, old) for parameter, old in zip(learning, before, strict=True))
    assert all(bool(parameter.isfinite().all()) for parameter in learning)


def test_a_few_steps_on_one_photo_lower_every_loss(model: RCNN) -> None:
    sample = make_sample([[10, 10, 60, 70], [70, 20, 120, 60]], [0, 2])
    images = sample.image.permute(2, 0, 1)[None].float().sub(127).div(64).repeat(2, 1, 1, 1)
    optimiser = torch.optim.AdamW(model.parameters(), 3e-3)
    history = []
    for _ in range(40):
        losses = step_losses(model, images, [sample, sample], RECIPE)
        optimiser.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimiser.step()
        history.append({name: value.item() for name, value in losses.items()})
    # Points gather at the edge, where the bilinear truth itself is undecided: their loss has a floor.
    for name, part in {"rpn_class": 0.6, "box_class": 0.6, "coarse": 0.6, "points": 0.85, "conv": 0.6}.items():
        early = sum(row[name] for row in history[:3]) / 3
        late = sum(row[name] for row in history[-5:]) / 5
        assert late < part * early, name
