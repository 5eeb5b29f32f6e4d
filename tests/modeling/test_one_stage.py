"""PointRend on a one-stage detector: its detector against ncnn, its detections and masks by their rules."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pointrend.config.files import read_config
from pointrend.config.schema import GFLHeadConfig, OneStageConfig
from pointrend.modeling.network import build_network
from pointrend.modeling.one_stage.detector import Detector
from pointrend.modeling.one_stage.gfl_head import by_cell, cell_corners, decode_distances, select_cells
from pointrend.modeling.one_stage.network import OneStage
from pointrend.modeling.one_stage.shufflenet_v2 import shuffle
from pointrend.modeling.preprocess import resize, to_input
from pointrend.training.initialise import randomise
from pointrend.training.run import RECIPES
from pointrend.weights.checkpoint import load_into, read_checkpoint

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="module")
def config() -> OneStageConfig:
    read = read_config(RECIPES / "one-stage-network.yaml")
    assert isinstance(read, OneStageConfig)
    return read


@pytest.fixture(scope="module")
def network(config: OneStageConfig) -> OneStage:
    torch.manual_seed(0)
    built = build_network(config)
    assert isinstance(built, OneStage)
    randomise(built)
    return built.eval()


def test_the_detector_gives_what_ncnn_gave(config: OneStageConfig) -> None:
    detector = Detector(config).eval()
    state = read_checkpoint(GOLDEN / "nanodet" / "detector.safetensors")
    load_into(detector, {name.removeprefix("detector."): tensor for name, tensor in state.items()})
    image = np.asarray(Image.open(GOLDEN / "images" / "coffee_600x400.png").convert("RGB"))
    images, size = to_input(resize(image, config), config)
    with torch.inference_mode():
        logits, bins = by_cell(detector(images).predictions, config.num_classes)
    ours = torch.cat([logits, bins.flatten(2)], dim=2)[0].numpy()
    golden = np.load(GOLDEN / "nanodet" / "coffee.npz")
    assert size == (416, 416)
    assert ours.shape == tuple(golden["shape"])
    # 3.5e-5 on the machine where they were made, of outputs up to 17.
    np.testing.assert_allclose(ours[:: int(golden["step"])], golden["samples"], atol=5e-4)
    np.testing.assert_allclose(ours.mean(axis=0), golden["mean"], atol=1e-4)
    np.testing.assert_allclose(ours.std(axis=0), golden["std"], atol=1e-4)


def test_shuffled_channels_alternate() -> None:
    first, second = torch.arange(3.0).view(1, 3, 1, 1), torch.arange(10.0, 13.0).view(1, 3, 1, 1)
    assert shuffle(first, second).flatten().tolist() == [0, 10, 1, 11, 2, 12]


def test_a_cell_is_decoded_from_its_left_top_corner() -> None:
    maps = [torch.zeros(1, 1, 4, 6), torch.zeros(1, 1, 2, 3), torch.zeros(1, 1, 1, 2), torch.zeros(1, 1, 1, 1)]
    corners = cell_corners(maps)
    assert len(corners) == 24 + 6 + 2 + 1
    assert corners[7].tolist() == [8.0, 8.0, 8.0]
    assert corners[24 + 4].tolist() == [16.0, 16.0, 16.0]
    bins = torch.full((1, 4, 8), -50.0)
    for side, distance in enumerate((1, 0, 3, 7)):
        bins[0, side, distance] = 50
    assert decode_distances(corners[7:8], bins)[0].tolist() == pytest.approx([0, 8, 32, 64])


def test_detections_are_clipped_suppressed_by_class_and_limited() -> None:
    config = GFLHeadConfig(max_detections=3)
    corners = torch.tensor([[40.0, 40, 8], [41, 40, 8], [40, 40, 8], [200, 40, 8], [60, 60, 8]])
    bins = torch.zeros(5, 4, 8)  # a distance of 3.5 strides to each side
    logits = torch.full((5, 2), -9.0)
    logits[0, 0], logits[1, 0], logits[2, 1], logits[3, 0], logits[4, 0] = 2.0, 1.0, 0.5, 3.0, 0.1
    found = select_cells(logits, bins, corners, (64, 64), config)
    # The second is the first's double, the fourth lies beyond the image.
    assert found.classes.tolist() == [0, 1, 0]
    assert found.scores.tolist() == pytest.approx(torch.tensor([2.0, 0.5, 0.1]).sigmoid().tolist())
    assert found.boxes[0].tolist() == [12, 12, 64, 64]
    assert len(select_cells(logits, bins, corners, (64, 64), replace(config, max_detections=1))) == 1
    bins[0] = float("nan")
    assert select_cells(logits, bins, corners, (64, 64), config).scores[0] == pytest.approx(
        float(torch.tensor(1.0).sigmoid())
    )


def test_masks_have_the_sides_that_were_asked_for(network: OneStage) -> None:
    images = torch.randn(1, 3, 96, 160)
    boxes = torch.tensor([[4.0, 8, 60, 90], [0, 0, 160, 96], [50, 50, 51, 51]])
    classes = torch.tensor([0, 79, 4])
    with torch.inference_mode():
        features, detections = network.detect(images, (90, 150))
        assert {name: tuple(each.shape[1:]) for name, each in features.items()} == {
            "p2": (64, 24, 40),
            "p3": (64, 12, 20),
        }
        assert len(detections) <= 100
        for refinement, side in enumerate((7, 28, 56, 112, 224)):
            masks = network.mask_logits(features, boxes, classes, refinement)
            assert masks.shape == (3, side, side)
            # One mask for all classes.
            torch.testing.assert_close(masks, network.mask_logits(features, boxes, classes.flip(0), refinement))
        assert network.last_points(features, boxes, classes, 2).shape == (3, 784, 2)
        assert network.constant_mask_logits(features, boxes, classes).shape == (3, 28, 28)
        assert network.constant_mask_logits(features, boxes[:0], classes[:0]).shape == (0, 28, 28)
        assert network.mask_logits(features, boxes[:0], classes[:0]).shape == (0, 224, 224)


def test_points_read_context_beside_the_coarse_mask(network: OneStage, config: OneStageConfig) -> None:
    context = config.coarse_mask.context_maps
    assert context > 0
    features = {"p2": torch.randn(1, 64, 24, 40), "p3": torch.randn(1, 64, 12, 20)}
    regions = (features, torch.tensor([[4.0, 8, 60, 90], [0, 0, 160, 96]]), torch.tensor([0, 79]))
    other = copy.deepcopy(network)
    with torch.no_grad():
        other.mask_head.coarse_head.prediction.weight[config.coarse_mask.side**2 :] += 1
        for refinement in range(5):
            changed = other.mask_logits(*regions, refinement)
            assert torch.equal(network.mask_logits(*regions, refinement), changed) is (refinement == 0)
        # A point head with no weight on them answers as one that has none.
        alone = OneStage(replace(config, coarse_mask=replace(config.coarse_mask, context_maps=0))).eval()
        state = network.state_dict()
        for name, tensor in alone.state_dict().items():
            tensor.copy_(state[name][tuple(map(slice, tensor.shape))])
        for name, layer in other.mask_head.point_head.named_children():
            assert isinstance(layer, torch.nn.Conv1d)
            assert (
                layer.weight.shape[1] == alone.get_parameter(f"mask_head.point_head.{name}.weight").shape[1] + context
            )
            layer.weight[:, -context:] = 0
        for refinement in range(5):
            masks = (each.mask_logits(*regions, refinement) for each in (alone, other))
            torch.testing.assert_close(*masks, rtol=1e-4, atol=1e-5)


def test_residual_blocks_start_as_the_identity(network: OneStage) -> None:
    block = network.mask_features.fused[0]
    features = torch.rand(1, 64, 9, 11)
    with torch.no_grad():
        assert torch.equal(block(features), features)
        learnt = copy.deepcopy(block)
        learnt.get_parameter("pointwise.norm.weight").fill_(1)
        assert (learnt(features) - features).abs().max() > 0.1


def test_what_it_cannot_do_is_said(network: OneStage, config: OneStageConfig) -> None:
    with pytest.raises(ValueError, match="one image at a time, not 2"):
        network.detect(torch.zeros(2, 3, 64, 64), (64, 64))
    features = {"p2": torch.zeros(1, 64, 16, 16), "p3": torch.zeros(1, 64, 8, 8)}
    regions = (features, torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))
    with pytest.raises(ValueError, match="refinement must be at least 0, not -1"):
        network.mask_logits(*regions, -1)
    alone = OneStage(replace(config, conv_mask=None))
    with pytest.raises(ValueError, match="no second, convolutional mask head"):
        alone.constant_mask_logits(*regions)
