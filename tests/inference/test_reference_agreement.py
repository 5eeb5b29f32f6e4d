"""A small trained model finds on real photos what the reference finds with the same weights.

Bounds: the same detections in number and category, scores within 1e-3, boxes within 0.1 px, masks of more than 50 px
at IoU >= 0.99 and smaller ones within 2 px.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

import pointrend
from pointrend.inference.instances import InstanceSegmenter
from pointrend.structures.options import Options
from pointrend.structures.prediction import Instance

DEMO = Path(__file__).parents[1] / "demo"
CASES = {case["image"]: case for case in json.loads((DEMO / "reference_detections.json").read_text())}


@pytest.fixture(scope="module")
def segmenter() -> InstanceSegmenter:
    segmenter = pointrend.load(DEMO / "reference_model")
    assert isinstance(segmenter, InstanceSegmenter)
    return segmenter


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_the_reference(segmenter: InstanceSegmenter, name: str) -> None:
    case = CASES[name]
    image = np.asarray(Image.open(DEMO / name).convert("RGB"))
    prediction = segmenter(image, Options(score_threshold=0.05, categories=("all",), exact=True))
    assert (prediction.width, prediction.height) == (case["width"], case["height"])
    assert len(prediction.instances) == len(case["detections"])
    for found, wanted in _pairs(prediction.instances, case["detections"]):
        assert abs(found.score - wanted["score"]) <= 1e-3
        assert np.abs(_corners(found) - wanted["bbox_xyxy"]).max() <= 0.1
        ours, theirs = found.mask(), coco_mask.decode(wanted["segmentation"]).astype(bool)
        if wanted["area"] > 50:
            assert (ours & theirs).sum() / (ours | theirs).sum() >= 0.99
        else:
            assert (ours ^ theirs).sum() <= 2


def _corners(instance: Instance) -> np.ndarray:
    x, y, width, height = instance.bbox
    return np.array([x, y, x + width, y + height])


def _pairs(found: tuple[Instance, ...], wanted: list[dict[str, Any]]) -> list[tuple[Instance, dict[str, Any]]]:
    """Each reference detection with the nearest of ours of its category; near-equal scores may swap places."""
    rest = list(found)
    pairs = []
    for reference in wanted:
        same = [item for item in rest if item.category == reference["category"]]
        assert same, f"nothing of ours is left for the reference's {reference['category']} at {reference['score']:.3f}"
        nearest = min(same, key=lambda item: float(np.abs(_corners(item) - reference["bbox_xyxy"]).sum()))
        rest.remove(nearest)
        pairs.append((nearest, reference))
    return pairs
