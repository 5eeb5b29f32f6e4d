"""A semantic model that is small enough to be made for a test."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import torch
import yaml

from pointrend.config.files import config_to_dict
from pointrend.config.schema import FPNConfig, PointHeadConfig, ResNetConfig, SemanticConfig, SemanticHeadConfig
from pointrend.modeling.semantic import SemanticPointRend
from pointrend.weights import zoo
from pointrend.weights.checkpoint import save_safetensors

TINY = SemanticConfig(
    num_classes=19,
    pixel_mean=(0.0, 0.0, 0.0),
    pixel_std=(60.0, 60.0, 60.0),
    input_format="RGB",
    min_size=96,
    max_size=192,
    trunk=ResNetConfig(depth=18, stem_channels=4, res2_channels=8),
    fpn=FPNConfig(channels=8),
    semantic_head=SemanticHeadConfig(conv_dim=32),
    point_head=PointHeadConfig(fc_dim=8, subdivision_steps=2, subdivision_points=64, coarse_pred_each_layer=False),
)


def write_tiny(folder: Path) -> Path:
    """A model folder of random weights, whose classes nevertheless vary over a photo."""
    torch.manual_seed(0)
    model = SemanticPointRend(TINY)
    save_safetensors(model.state_dict(), folder / "model.safetensors")
    (folder / "config.yaml").write_text(yaml.safe_dump(config_to_dict(TINY)))
    info = replace(zoo.find("cityscapes-semantic-r101-1x").info, name="tiny")
    (folder / "model.json").write_text(json.dumps(info.to_dict()))
    return folder
