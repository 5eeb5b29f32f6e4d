"""The golden cases: what detectron2's PointRend made of photos, stage by stage (see ``tests/golden``)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from pointrend.config.files import read_config
from pointrend.config.schema import ModelConfig
from pointrend.modeling.preprocess import resize, to_input
from pointrend.modeling.rcnn import RCNN
from pointrend.weights.checkpoint import load_into, read_checkpoint

GOLDEN = Path(__file__).parents[1] / "golden"
POINT_REND_CASES = ("pointrend_coco80_landscape", "pointrend_3class_portrait")
MASK_RCNN_CASE = "maskrcnn_coco80_landscape"
CASES = (*POINT_REND_CASES, MASK_RCNN_CASE)


@dataclass(frozen=True)
class GoldenCase:
    name: str
    model: RCNN
    photo: NDArray[np.uint8]
    images: Tensor
    image_size: tuple[int, int]
    features: dict[str, Tensor]  # ours: the golden ones are kept as samples only
    arrays: dict[str, NDArray[Any]]
    noise: dict[str, Any]
    summary: dict[str, Any]
    final: list[dict[str, Any]]

    def tensor(self, name: str) -> Tensor:
        return torch.from_numpy(self.arrays[name])

    def bound(self, name: str, factor: float, least: float) -> float:
        """A multiple of what two runs of the reference differ by, or ``least`` where that is hardly anything."""
        return max(factor * self.noise[name]["max_abs"], least)


@cache
def load_case(name: str) -> GoldenCase:
    folder = GOLDEN / name
    config = read_config(folder / "config.yaml")
    assert isinstance(config, ModelConfig)
    model = RCNN(config).eval()
    load_into(model, read_checkpoint(folder / "model_final.pkl"))
    summary = json.loads((folder / "summary.json").read_text())
    photo = np.asarray(Image.open(GOLDEN / "images" / summary["image"]).convert("RGB"))
    images, image_size = to_input(resize(photo, config), config)
    with torch.inference_mode():
        features = model.backbone(images)
    with np.load(folder / "arrays.npz") as arrays:
        return GoldenCase(
            name=name,
            model=model,
            photo=photo,
            images=images,
            image_size=image_size,
            features=features,
            arrays=dict(arrays),
            noise=json.loads((folder / "noise_floor.json").read_text()),
            summary=summary,
            final=json.loads((folder / "final.json").read_text())["detections"],
        )


def largest_difference(ours: Tensor, golden: NDArray[Any]) -> float:
    assert tuple(ours.shape) == golden.shape
    return float(np.abs(ours.numpy() - golden).max())
