"""Boxes of supervision, ultralytics and torchvision in, and supervision's with masks out."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import pointrend
from pointrend.exporters import with_masks
from pointrend.images.inputs import pixels
from pointrend.structures.boxes import OPTION, BoxPrompt
from pointrend.structures.options import Options

pytestmark = pytest.mark.filterwarnings("ignore:OpenCV:UserWarning")  # supervision's, once it is imported
CORNERS = np.array([[10.5, 20, 110.5, 220], [0, 0, 30, 40]], np.float32)
CAT = Path(__file__).parents[1] / "demo" / "chelsea.png"


def detections() -> Any:
    import supervision

    return supervision.Detections(
        xyxy=CORNERS,
        confidence=np.array([0.9, 0.4], np.float32),
        class_id=np.array([15, 0]),
        tracker_id=np.array([7, 8]),
        data={"class_name": np.array(["cat", "leaf"])},
    )


def test_what_a_detector_has_found_may_be_given_as_it_is() -> None:
    import supervision

    ultralytics = SimpleNamespace(boxes=SimpleNamespace(xyxy=torch.tensor(CORNERS)))  # as its Results are documented
    torchvision = {"boxes": torch.tensor(CORNERS), "labels": torch.tensor([17, 1]), "scores": torch.tensor([0.9, 0.4])}
    for found in (detections(), ultralytics, torchvision):
        assert OPTION.read("boxes", found) == (BoxPrompt(10.5, 20, 100, 200), BoxPrompt(0, 0, 30, 40))
    assert OPTION.read("boxes", supervision.Detections.empty()) == ()


def test_detections_get_masks_and_stay_what_they_are() -> None:
    import supervision

    segmenter, image, given = pointrend.load("demo"), pixels(CAT), detections()
    masked = with_masks(given, segmenter(image, Options.parse({"boxes": given})))
    assert masked.mask.shape == (2, *image.shape[:2])
    assert masked.mask.dtype == np.bool_
    for mask, (x0, y0, x1, y1) in zip(masked.mask, CORNERS.astype(int), strict=True):
        rows, columns = np.nonzero(mask)
        assert x0 <= columns.min() <= columns.max() <= x1
        assert y0 <= rows.min() <= rows.max() <= y1
    for name in ("mask_score", "edge_uncertainty"):
        assert ((masked.data[name] >= 0) & (masked.data[name] <= 1)).all()
    for name in ("xyxy", "confidence", "class_id", "tracker_id"):
        assert np.array_equal(getattr(masked, name), getattr(given, name))
    assert masked.data["class_name"].tolist() == ["cat", "leaf"]
    assert given.mask is None
    drawn = supervision.MaskAnnotator().annotate(image.copy(), masked)
    assert (drawn != image).any(axis=2).sum() > 0.5 * masked.mask.any(axis=0).sum()
    nothing = supervision.Detections.empty()
    assert len(with_masks(nothing, segmenter(image, Options.parse({"boxes": nothing})))) == 0
    with pytest.raises(ValueError, match="There are 2 boxes, but the prediction has 0 instances"):
        with_masks(given, segmenter(image, Options.parse({"boxes": []})))
