"""From the photo to its masks: the same detections as the reference's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask

from pointrend.inference.paste import paste_mask
from pointrend.modeling.boxes import clip_boxes, nonempty
from tests.modeling.golden_case import GoldenCase, largest_difference

SMALL = 50  # pixels: below, a mask's overlap says little, and its differing pixels are counted


@pytest.mark.usefixtures("inference")
def test_same_detections_and_masks(golden: GoldenCase) -> None:
    height, width = golden.photo.shape[:2]
    features, found = golden.model.detect(golden.images, golden.image_size)
    scale = torch.tensor([width / golden.image_size[1], height / golden.image_size[0]] * 2)
    boxes = clip_boxes(found.boxes * scale, height, width)
    assert nonempty(boxes).all()
    assert found.classes.tolist() == golden.arrays["final_classes"].tolist()
    assert largest_difference(boxes, golden.arrays["final_boxes"]) < 0.1
    assert largest_difference(found.scores, golden.arrays["final_scores"]) < 1e-3

    masks = golden.model.mask_logits(features, found.boxes, found.classes)
    differing = total = 0
    for mask, box, expected in zip(masks, boxes, golden.final, strict=True):
        left, top, crop = paste_mask(mask, box, height, width)
        ours = np.zeros((height, width), dtype=bool)
        ours[top : top + crop.shape[0], left : left + crop.shape[1]] = crop
        reference = coco_mask.decode(expected["segmentation"]).astype(bool)
        area, difference = int(reference.sum()), int((ours != reference).sum())
        if area > SMALL:
            assert (ours & reference).sum() / (ours | reference).sum() >= 0.99
        else:
            assert difference <= (2 if area else 0)
        differing += difference
        total += area
    assert differing <= 0.0005 * total
