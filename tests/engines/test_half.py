"""Converting the dense parts to half precision: what is rounded, and what is not."""

from __future__ import annotations

import torch

from pointrend.engines import half
from pointrend.engines.network import open_network
from pointrend.engines.parts import parts
from pointrend.modeling.layers import ConvNorm
from pointrend.modeling.rcnn import RCNN
from pointrend.weights.folder import ModelFolder
from tests.demo_models import SMALL_RCNN


def small() -> RCNN:
    network = open_network(ModelFolder.open(SMALL_RCNN))
    assert isinstance(network, RCNN)
    return network


def test_all_but_answers_and_tender_layers_are_rounded() -> None:
    for part in parts(small()):
        before = {name: value.clone() for name, value in part.state_dict().items()}
        own = half.converted(part, torch.bfloat16)
        for name, value in own.named_parameters():
            kept = name.startswith((*(f"{module}." for module in part.answers), *part.tender))
            assert value.dtype == (torch.float32 if kept else torch.bfloat16), name
        assert any(value.dtype == torch.bfloat16 for value in own.parameters())
        assert {name: value.dtype for name, value in part.state_dict().items()} == dict.fromkeys(before, torch.float32)


def test_a_folded_normalisation_changes_nothing() -> None:
    layer = ConvNorm(3, 5, 3, norm="BN").eval()
    assert layer.norm is not None
    generator = torch.Generator().manual_seed(0)
    for value in (layer.norm.weight.data, layer.norm.bias.data, layer.norm.running_mean, layer.norm.running_var):
        value.uniform_(0.5, 2, generator=generator)
    photo = torch.rand(1, 3, 8, 8, generator=generator)
    before = layer(photo)
    half.fold(layer)
    assert layer.norm is None
    assert torch.allclose(layer(photo), before, atol=1e-5)
    half.fold(layer)  # nothing is left to fold
    assert torch.allclose(layer(photo), before, atol=1e-5)


def test_points_are_rounded_between_reading_a_projected_map_and_the_predictor() -> None:
    network, rounded = small(), small()
    half.install(rounded, parts(rounded), torch.bfloat16)
    (head, _), (own, _) = network.mask_heads(), rounded.mask_heads()
    assert head is not None
    assert own is not None
    assert own.point_head.project is not None
    generator = torch.Generator().manual_seed(0)
    fine = torch.randn(2, 50, network.config.fpn.channels, generator=generator)
    coarse = torch.randn(2, 50, head.coarse_head.num_maps, generator=generator)
    classes = torch.tensor([3, 5])
    with torch.inference_mode():
        expected = head.point_head.predict(fine, coarse, classes)
        answers = [
            own.point_head.predict(fine, coarse, classes),
            own.point_head.predict(own.point_head.project(fine), coarse, classes, projected=True),
        ]
    for answer in answers:
        assert answer.dtype == torch.float32
        assert 0 < (answer - expected).norm() / expected.norm() < 0.03


def test_a_replaced_part_lets_go_of_its_weights() -> None:
    network = small()
    half.install(network, parts(network), torch.bfloat16)
    left = {name.split(".")[0] for name in network.state_dict()}
    assert left == {"roi_heads"}
    assert not any(name.startswith("roi_heads.box_") for name in network.state_dict())
