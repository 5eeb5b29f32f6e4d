"""Every published instance model is built with exactly the tensors that its checkpoint has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from pointrend.config import ModelConfig
from pointrend.modeling.rcnn import RCNN

KEYS = Path(__file__).parents[1] / "golden" / "keys"
MODELS = (
    "mask_rcnn_R_50_FPN_3x",
    "pointrend_rcnn_R_50_FPN_3x_coco",
    "pointrend_rcnn_R_101_FPN_3x_coco",
    "pointrend_rcnn_X_101_32x8d_FPN_3x_coco",
    "pointrend_rcnn_R_50_FPN_1x_cityscapes",
)


@pytest.mark.parametrize("name", MODELS)
def test_names_and_shapes_are_the_published_ones(name: str) -> None:
    published = json.loads((KEYS / f"{name}.keys.json").read_text())["keys"]
    wanted = {key: tuple(shape) for key, (shape, _) in published.items() if not key.endswith("num_batches_tracked")}
    with torch.device("meta"):
        model = RCNN(ModelConfig.from_file(KEYS / f"{name}.config.yaml"))
    assert {key: tuple(value.shape) for key, value in model.state_dict().items()} == wanted
