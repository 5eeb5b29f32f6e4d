"""Each stage alone, from the reference's own input of that stage, so that a failure points at its stage.

The bounds are a few times what two runs of the reference itself differ by (``noise_floor.json``), and never above
what is said beside them.
"""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask

from pointrend.inference.paste import paste_mask
from pointrend.modeling.backbone.fpn import LEVELS
from pointrend.modeling.point_rend import (
    FeatureMap,
    double,
    most_uncertain_points,
    predict_everywhere,
    regular_points,
    sample_in_boxes,
    sample_masks,
)
from pointrend.modeling.preprocess import resize
from pointrend.modeling.roi_heads.box_head import select_detections
from pointrend.modeling.roi_heads.point_mask_head import PointRendMaskHead
from pointrend.modeling.roi_heads.roi_align import assign_levels
from pointrend.modeling.rpn import cell_anchors
from tests.modeling.golden_case import GoldenCase, largest_difference

pytestmark = pytest.mark.usefixtures("inference")

FEATURE_STEPS = {"p2": 8, "p3": 4, "p4": 2, "p5": 1, "p6": 1}  # the golden maps keep every n-th cell
RPN_STEPS = {"p2": 4, "p3": 2, "p4": 1, "p5": 1, "p6": 1}


def test_input(golden: GoldenCase) -> None:
    bgr = np.ascontiguousarray(resize(golden.photo, golden.model.config)[:, :, ::-1])
    assert hashlib.sha256(bgr.tobytes()).hexdigest() == golden.summary["resized"]["sha256_hwc_bgr_bytes"]
    network_input = golden.images[0].contiguous().numpy()
    assert hashlib.sha256(network_input.tobytes()).hexdigest() == golden.summary["input"]["sha256_chw_f32_bytes"]


@pytest.mark.parametrize("level", LEVELS)
def test_features(golden: GoldenCase, level: str) -> None:
    step = FEATURE_STEPS[level]
    ours = golden.features[level][0, :, ::step, ::step]
    assert largest_difference(ours, golden.arrays[f"feat_{level}"]) < 1e-4 * golden.noise[f"feat_{level}"]["ref_std"]


@pytest.mark.parametrize("level", LEVELS)
def test_rpn_head(golden: GoldenCase, level: str) -> None:
    (logits,), (offsets,) = golden.model.proposal_generator.rpn_head([golden.features[level]])
    step = RPN_STEPS[level]
    assert largest_difference(logits[0, :, ::step, ::step], golden.arrays[f"rpn_logits_{level}"]) < 1e-3
    assert largest_difference(offsets[0, :, ::step, ::step], golden.arrays[f"rpn_deltas_{level}"]) < 1e-4


def test_anchors(golden: GoldenCase) -> None:
    rpn = golden.model.config.rpn
    ours = torch.stack([cell_anchors(sizes, rpn.aspect_ratios) for sizes in rpn.anchor_sizes])
    assert largest_difference(ours, golden.arrays["cell_anchors"]) < 1e-4


def test_proposals(golden: GoldenCase) -> None:
    ours = golden.model.proposal_generator(golden.features, golden.image_size)
    boxes = golden.tensor("proposal_boxes")
    assert ours.boxes.shape == boxes.shape
    # As sets: near-tied neighbours swap order, and the last few may swap in or out.
    nearest = (boxes[:, None] - ours.boxes[None]).abs().amax(dim=2).amin(dim=1)
    assert int((nearest > 0.1).sum()) <= 3
    assert largest_difference(ours.logits, golden.arrays["proposal_logits"]) < 1e-3


def test_pooling_level(golden: GoldenCase) -> None:
    levels = assign_levels(golden.tensor("proposal_boxes"), 4) + 2
    assert levels.tolist() == golden.arrays["proposal_level"].tolist()


def test_box_pooling(golden: GoldenCase) -> None:
    boxes = golden.tensor("proposal_boxes")[golden.arrays["box_pool_rows"]]
    pooled = golden.model.roi_heads.pool(golden.features, boxes, 7)
    assert largest_difference(pooled, golden.arrays["box_pool"]) < 2e-4


def test_box_head(golden: GoldenCase) -> None:
    heads = golden.model.roi_heads
    boxes = golden.tensor("proposal_boxes")
    hidden = heads.box_head(heads.pool(golden.features, boxes[golden.arrays["box_head_rows"]], 7))
    assert largest_difference(hidden, golden.arrays["box_head_out"]) < 5e-3
    logits, offsets = heads(golden.features, boxes)
    assert largest_difference(logits, golden.arrays["cls_logits"]) < 5e-3
    assert largest_difference(offsets[golden.arrays["bbox_deltas_rows"]], golden.arrays["bbox_deltas"]) < 5e-3


def test_detections(golden: GoldenCase) -> None:
    boxes = golden.tensor("proposal_boxes")
    logits, offsets = golden.model.roi_heads(golden.features, boxes)
    ours = select_detections(logits, offsets, boxes, golden.image_size, golden.model.config.box_head)
    assert ours.classes.tolist() == golden.arrays["det_classes"].tolist()
    assert largest_difference(ours.boxes, golden.arrays["det_boxes_net"]) < 0.1
    assert largest_difference(ours.scores, golden.arrays["det_scores"]) < 1e-3


def _point_head(golden: GoldenCase) -> tuple[PointRendMaskHead, FeatureMap]:
    head = golden.model.roi_heads.mask_head
    assert isinstance(head, PointRendMaskHead)
    return head, FeatureMap.of(golden.features["p2"], 4)


def test_coarse_masks(golden_points: GoldenCase) -> None:
    head, fine = _point_head(golden_points)
    boxes, classes = golden_points.tensor("det_boxes_net"), golden_points.tensor("det_classes")
    sampled = sample_in_boxes(fine, boxes[:4], regular_points(14)).transpose(1, 2).reshape(4, -1, 14, 14)
    assert largest_difference(sampled, golden_points.arrays["mask_coarse_in_first4"]) < 1e-4
    coarse = head.coarse_logits(fine, boxes)
    assert largest_difference(coarse[:4], golden_points.arrays["mask_coarse_logits_first4_allclasses"]) < 2e-2
    predicted = golden_points.model.mask_logits(golden_points.features, boxes, classes, refinement=0)
    assert largest_difference(predicted, golden_points.arrays["mask_coarse_logits_predclass"]) < 2e-2


@pytest.mark.parametrize("step", [0, 1])
def test_point_head(golden_points: GoldenCase, step: int) -> None:
    head, fine = _point_head(golden_points)
    box, label = golden_points.tensor("det_boxes_net")[:1], golden_points.tensor("det_classes")[:1]
    coarse = golden_points.tensor("mask_coarse_logits_first4_allclasses")[:1]
    points = (regular_points(28) if step == 0 else golden_points.tensor("point_coords_step1_det0"))[None, ::4]
    golden = {
        kind: golden_points.arrays[f"point_{kind}_step{step}_det0_every4"] for kind in ("fine", "coarse", "logits")
    }
    fine_features, coarse_features = sample_in_boxes(fine, box, points), sample_masks(coarse, points)
    assert largest_difference(fine_features[0].T, golden["fine"]) < 1e-4
    assert largest_difference(coarse_features[0].T, golden["coarse"]) < 1e-4
    inputs = (torch.from_numpy(golden["fine"]).T[None], torch.from_numpy(golden["coarse"]).T[None])
    every_class = head.point_head(*inputs)[0].T
    assert largest_difference(every_class, golden["logits"]) < 1e-3
    assert largest_difference(head.point_head.predict(*inputs, label)[0], golden["logits"][int(label)]) < 1e-3


@pytest.mark.parametrize("step", [1, 2, 3])
def test_chosen_points(golden_points: GoldenCase, step: int) -> None:
    logits = golden_points.tensor(f"mask_logits_{14 * 2**step}")
    doubled = torch.nn.functional.interpolate(logits[:, None], scale_factor=2.0, mode="bilinear")[:, 0]
    indices, points = most_uncertain_points(doubled, 784)
    golden = golden_points.arrays[f"point_index_step{step}"][: len(logits)]
    differing = sum(
        len(set(ours) - set(theirs.tolist())) for ours, theirs in zip(indices.tolist(), golden, strict=True)
    )
    assert differing <= 2 * len(logits)
    coordinates = dict(zip(indices[0].tolist(), points[0].tolist(), strict=True))
    for index, golden_point in zip(golden[0], golden_points.arrays[f"point_coords_step{step}_det0"], strict=True):
        if int(index) in coordinates:
            assert coordinates[int(index)] == pytest.approx(golden_point.tolist(), abs=1e-6)


def test_first_grid(golden_points: GoldenCase) -> None:
    head, fine = _point_head(golden_points)
    boxes, classes = golden_points.tensor("det_boxes_net"), golden_points.tensor("det_classes")
    coarse = head.coarse_logits(fine, boxes)
    ours = predict_everywhere(head.point_head, fine, boxes, classes, coarse, 28)
    assert largest_difference(ours, golden_points.arrays["mask_logits_28"]) < 2e-2


@pytest.mark.parametrize("side", [56, 112, 224])
def test_doubling(golden_points: GoldenCase, side: int) -> None:
    head, fine = _point_head(golden_points)
    golden = golden_points.arrays[f"mask_logits_{side}"]
    regions = slice(0, len(golden))
    boxes, classes = golden_points.tensor("det_boxes_net")[regions], golden_points.tensor("det_classes")[regions]
    before = golden_points.tensor(f"mask_logits_{side // 2}")[regions]
    coarse = head.coarse_logits(fine, boxes)
    points = head.point_head.config.subdivision_points
    ours = double(head.point_head, fine, boxes, classes, coarse, before, points)
    # One point that is chosen or not changes its cell by up to several logits: no bound on the largest difference.
    assert float(np.quantile(np.abs(ours.numpy() - golden), 0.999)) < 2e-2


@pytest.mark.parametrize(("refinement", "side"), [(1, 28), (2, 56), (3, 112), (4, 224), (5, 224)])
def test_refinement_stops_where_it_is_told(golden_points: GoldenCase, refinement: int, side: int) -> None:
    golden = golden_points.arrays[f"mask_logits_{side}"]
    boxes = golden_points.tensor("det_boxes_net")[: len(golden)]
    classes = golden_points.tensor("det_classes")[: len(golden)]
    ours = golden_points.model.mask_logits(golden_points.features, boxes, classes, refinement=refinement)
    assert ours.shape == golden.shape
    assert float(np.quantile(np.abs(ours.numpy() - golden), 0.999)) < 2e-2


def test_conv_mask_head(golden_mask_rcnn: GoldenCase) -> None:
    golden = golden_mask_rcnn
    boxes, classes = golden.tensor("det_boxes_net"), golden.tensor("det_classes")
    pooled = golden.model.roi_heads.pool(golden.features, boxes[:4], 14)
    assert largest_difference(pooled, golden.arrays["mask_pool_first4"]) < 2e-4
    masks = golden.model.mask_logits(golden.features, boxes, classes)
    assert largest_difference(masks, golden.arrays["mask_logits_28"]) < golden.bound("mask_logits_28", 10, 2e-2)
    every_class = golden.model.roi_heads.mask_head(pooled)
    assert torch.allclose(every_class[torch.arange(4), classes[:4]], masks[:4], atol=1e-4)


def test_pasting(golden: GoldenCase) -> None:
    logits = golden.tensor("mask_logits_224" if "mask_logits_224" in golden.arrays else "mask_logits_28")
    height, width = golden.photo.shape[:2]
    for mask, box, expected in zip(logits, golden.tensor("final_boxes"), golden.final, strict=False):
        left, top, crop = paste_mask(mask, box, height, width)
        full = np.zeros((height, width), dtype=bool)
        full[top : top + crop.shape[0], left : left + crop.shape[1]] = crop
        assert int((full != coco_mask.decode(expected["segmentation"]).astype(bool)).sum()) <= 1
