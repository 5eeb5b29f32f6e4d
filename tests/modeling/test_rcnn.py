from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pointrend.config.files import read_config
from pointrend.config.schema import (
    BoxHeadConfig,
    CoarseMaskConfig,
    ConvMaskConfig,
    FPNConfig,
    ModelConfig,
    PointHeadConfig,
    ResNetConfig,
    RPNConfig,
)
from pointrend.errors import ConfigError
from pointrend.modeling.backbone.resnet import ResNet
from pointrend.modeling.layers import BatchNorm, ConvNorm
from pointrend.modeling.rcnn import RCNN
from pointrend.modeling.roi_heads.box_head import BoxHead, select_detections
from pointrend.modeling.rpn import cell_anchors

KEYS = Path(__file__).parents[1] / "golden" / "keys"
PUBLISHED = sorted(
    name for path in KEYS.glob("*.keys.json") if "semantic" not in (name := path.name.removesuffix(".keys.json"))
)
TINY = ModelConfig(
    num_classes=3,
    pixel_mean=(103.53, 116.28, 123.675),
    pixel_std=(1.0, 1.0, 1.0),
    input_format="BGR",
    min_size=64,
    max_size=128,
    trunk=ResNetConfig(depth=18, stem_channels=8, res2_channels=8),
    fpn=FPNConfig(channels=8),
    rpn=RPNConfig(),
    box_head=BoxHeadConfig(fc_dim=16),
    coarse_mask=CoarseMaskConfig(conv_dim=8, fc_dim=16),
    point_head=PointHeadConfig(fc_dim=16),
)
TINY_MASK_RCNN = replace(TINY, coarse_mask=None, point_head=None, conv_mask=ConvMaskConfig(num_conv=1, conv_dim=8))


@pytest.mark.parametrize("name", PUBLISHED)
def test_names_and_shapes_of_published_models(name: str) -> None:
    config = read_config(KEYS / f"{name}.config.yaml")
    assert isinstance(config, ModelConfig)
    with torch.device("meta"):
        ours = {key: list(value.shape) for key, value in RCNN(config).state_dict().items()}
    published = json.loads((KEYS / f"{name}.keys.json").read_text())["keys"]
    assert ours == {key: shape for key, (shape, _dtype) in published.items()}


@pytest.mark.parametrize(
    ("config", "inner", "stride_at"),
    [
        (ResNetConfig(depth=18, stem_channels=8, res2_channels=8, stride_in_1x1=False), 16, "conv1"),
        (ResNetConfig(depth=34, stem_channels=8, res2_channels=8), 16, "conv1"),
        (ResNetConfig(stem_channels=8, res2_channels=32, width_per_group=8), 16, "conv1"),
        (
            ResNetConfig(
                depth=101, stem_channels=8, res2_channels=32, groups=4, width_per_group=2, stride_in_1x1=False
            ),
            16,
            "conv2",
        ),
    ],
)
def test_resnets(config: ResNetConfig, inner: int, stride_at: str) -> None:
    network = ResNet(config)
    with torch.inference_mode():
        features = network(torch.rand(1, 3, 64, 96))
    assert {name: tuple(value.shape[2:]) for name, value in features.items()} == {
        "res2": (16, 24),
        "res3": (8, 12),
        "res4": (4, 6),
        "res5": (2, 3),
    }
    block = network.get_submodule("res3.0")
    assert block.conv1.out_channels == inner
    assert {name: module.stride for name, module in block.named_children()}[stride_at] == (2, 2)
    assert block.conv2.groups == config.groups


@pytest.mark.parametrize("norm", ["BN", "FrozenBN"])
def test_a_folded_norm_equals_its_definition(norm: str) -> None:
    torch.manual_seed(0)
    layer = ConvNorm(3, 4, 3, norm=norm).eval()
    for name, low in (("weight", 0.5), ("bias", -1.0), ("running_mean", -1.0), ("running_var", 0.2)):
        getattr(layer.norm, name).data.uniform_(low, 2.0)
    images = torch.rand(2, 3, 9, 9)
    plain = torch.nn.functional.conv2d(images, layer.weight, padding=1)
    norm_of = torch.nn.functional.batch_norm(
        plain, layer.norm.running_mean, layer.norm.running_var, layer.norm.weight, layer.norm.bias
    )
    assert torch.allclose(layer(images), norm_of, atol=1e-5)


def test_batch_norm_learns_its_statistics_while_training() -> None:
    layer = ConvNorm(3, 4, 3, norm="BN").train()
    layer(torch.rand(2, 3, 9, 9))
    assert isinstance(layer.norm, BatchNorm)
    assert not torch.equal(layer.norm.running_mean, torch.zeros(4))
    frozen = ConvNorm(3, 4, 3, norm="FrozenBN").train()
    frozen(torch.rand(2, 3, 9, 9))
    assert torch.equal(frozen.norm.running_mean, torch.zeros(4))
    assert list(dict(frozen.named_parameters())) == ["weight"]


@pytest.mark.parametrize("config", [TINY, TINY_MASK_RCNN], ids=["pointrend", "mask_rcnn"])
def test_nothing_found(config: ModelConfig) -> None:
    config = replace(config, box_head=replace(config.box_head, score_threshold=1.0))
    model = RCNN(config).eval()
    with torch.inference_mode():
        features, found = model.detect(torch.rand(1, 3, 64, 96), (60, 90))
        assert len(found) == 0
        sides = (7, 28, 56, 112, 224) if config.coarse_mask else (28,) * 5
        for refinement, side in enumerate(sides):
            masks = model.mask_logits(features, found.boxes, found.classes, refinement=refinement)
            assert masks.shape == (0, side, side)
        logits, offsets = model.roi_heads(features, found.boxes)
        assert logits.shape == (0, 4)
        assert len(select_detections(logits, offsets, found.boxes, (60, 90), config.box_head)) == 0


def test_more_regions_than_go_at_once() -> None:
    torch.manual_seed(0)
    model = RCNN(TINY).eval()
    boxes = torch.rand(20, 4) * 30 + torch.tensor([0.0, 0.0, 40.0, 40.0])
    classes = torch.arange(20) % 3
    with torch.inference_mode():
        features = model.backbone(torch.rand(1, 3, 96, 96))
        together = model.mask_logits(features, boxes, classes, refinement=1)
        alone = torch.cat([model.mask_logits(features, boxes[i : i + 1], classes[i : i + 1], 1) for i in range(20)])
    assert torch.allclose(together, alone, atol=1e-5)


@pytest.mark.parametrize("config", [TINY, TINY_MASK_RCNN], ids=["pointrend", "mask_rcnn"])
def test_class_agnostic_masks_and_boxes(config: ModelConfig) -> None:
    config = replace(config, class_agnostic_mask=True, box_head=replace(config.box_head, class_agnostic=True))
    model = RCNN(config).eval()
    boxes = torch.tensor([[0.0, 0.0, 50.0, 40.0]])
    with torch.inference_mode():
        features = model.backbone(torch.rand(1, 3, 64, 96))
        assert model.roi_heads(features, boxes)[1].shape == (1, 4)
        first, last = (model.mask_logits(features, boxes, torch.tensor([label])) for label in (0, 2))
    assert torch.equal(first, last)


def test_detections_by_hand() -> None:
    proposals = torch.tensor([[0.0, 0.0, 10.0, 10.0], [1.0, 0.0, 11.0, 10.0], [30.0, 30.0, 50.0, 60.0]])
    probabilities = torch.tensor([[0.6, 0.3, 0.1], [0.5, 0.02, 0.48], [0.01, 0.9, 0.09]])
    found = select_detections(probabilities.log(), torch.zeros(3, 8), proposals, (40, 45), BoxHeadConfig())
    assert found.classes.tolist() == [1, 0, 1]
    assert found.scores.tolist() == pytest.approx([0.9, 0.6, 0.3])
    assert found.boxes.tolist() == [[30.0, 30.0, 45.0, 40.0], [0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 10.0]]
    best = select_detections(
        probabilities.log(), torch.zeros(3, 8), proposals, (40, 45), BoxHeadConfig(max_detections=1)
    )
    assert best.classes.tolist() == [1]


def test_anchors_are_counted_cell_by_cell_and_row_by_row() -> None:
    generator = RCNN(TINY).proposal_generator
    shapes = cell_anchors(TINY.rpn.anchor_sizes[1], TINY.rpn.aspect_ratios)
    every = generator.level_anchors(1, (2, 5))
    assert every.shape == (2 * 5 * len(shapes), 4)
    assert torch.equal(every[: len(shapes)], shapes)
    last = generator.anchors(1, 5, torch.tensor([len(every) - 1]))
    assert last.tolist() == (shapes[-1:] + torch.tensor([32.0, 8.0, 32.0, 8.0])).tolist()  # p3: 8 pixels a cell
    assert torch.equal(last, every[-1:])


def test_every_part_can_be_trained() -> None:
    model = RCNN(replace(TINY, trunk=replace(TINY.trunk, norm="BN"))).train()
    features = model.backbone(torch.rand(1, 3, 96, 96))
    boxes, classes = torch.tensor([[0.0, 0.0, 50.0, 40.0], [20.0, 10.0, 90.0, 90.0]]), torch.tensor([0, 2])
    logits, offsets = model.proposal_generator.rpn_head(list(features.values()))
    outputs = [*logits, *offsets, *model.roi_heads(features, boxes), model.mask_logits(features, boxes, classes, 1)]
    sum(output.sum() for output in outputs).backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


def test_a_second_mask_head_beside_pointrends() -> None:
    model = RCNN(replace(TINY, conv_mask=ConvMaskConfig(num_conv=1, conv_dim=8))).eval()
    alone = RCNN(TINY_MASK_RCNN).eval()
    state = {name.replace("conv_mask_head", "mask_head"): value for name, value in model.state_dict().items()}
    alone.load_state_dict({name: state[name] for name in alone.state_dict()})
    features = model.backbone(torch.randn(1, 3, 64, 64))
    boxes, classes = torch.tensor([[0.0, 0.0, 50.0, 40.0], [20.0, 10.0, 60.0, 60.0]]), torch.tensor([0, 2])
    masks = model.constant_mask_logits(features, boxes, classes)
    assert masks.shape == (2, 28, 28)
    torch.testing.assert_close(masks, alone.mask_logits(features, boxes, classes))
    assert model.mask_logits(features, boxes, classes, 0).shape == (2, 7, 7)
    with pytest.raises(ValueError, match="no second, convolutional mask head"):
        RCNN(TINY).constant_mask_logits(features, boxes, classes)


def test_what_cannot_be_built() -> None:
    with pytest.raises(ConfigError, match="DEPTH must be one of 18, 34, 50, 101, 152, not 42"):
        RCNN(replace(TINY, trunk=ResNetConfig(depth=42)))
    with pytest.raises(ConfigError, match="NORM must be one of"):
        RCNN(replace(TINY, fpn=FPNConfig(norm="GN")))
    with pytest.raises(ConfigError, match="both coarse_mask and point_head"):
        RCNN(replace(TINY, coarse_mask=None))
    with pytest.raises(ConfigError, match="one list for each"):
        RCNN(replace(TINY, rpn=RPNConfig(anchor_sizes=((32.0,),))))


def test_what_cannot_be_asked() -> None:
    model = RCNN(TINY).eval()
    with pytest.raises(ValueError, match="one image at a time, not 2"):
        model.detect(torch.rand(2, 3, 64, 64), (64, 64))
    with pytest.raises(ValueError, match="at least 0, not -1"):
        model.mask_logits({}, torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), refinement=-1)


def test_box_head_without_layers_passes_the_pooled_features() -> None:
    head = BoxHead(2, BoxHeadConfig(num_fc=0))
    assert head.out_features == 98
    assert head(torch.ones(1, 2, 7, 7)).shape == (1, 98)
