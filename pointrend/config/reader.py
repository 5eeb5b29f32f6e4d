"""From a detectron2 configuration to a :class:`~pointrend.config.schema.ModelConfig`.

Whatever a configuration asks for that would give another network, or other predictions, than the one built here is
refused by its key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from pointrend.config.schema import (
    POOLED_LEVELS,
    BoxHeadConfig,
    CoarseMaskConfig,
    ConvMaskConfig,
    EfficientNetConfig,
    FPNConfig,
    ModelConfig,
    PointHeadConfig,
    ResNetConfig,
    RPNConfig,
)
from pointrend.config.tree import nest
from pointrend.config.values import Values
from pointrend.errors import ConfigError

STAGES = ["res2", "res3", "res4", "res5"]
RPN_LEVELS = ["p2", "p3", "p4", "p5", "p6"]
FINE_LEVEL = ["p2"]
# Synchronised norms differ from BN only while training on several devices.
BATCH_NORMS = ("BN", "SyncBN", "nnSyncBN", "naiveSyncBN")
POINT_REND_HEADS = ("PointRendMaskHead", "CoarseMaskHead")  # the second is the first as configured in 2020
CONV_HEAD = "MaskRCNNConvUpsampleHead"
RESNET_FPN = "build_resnet_fpn_backbone"
EFFICIENTNET_FPN = "build_efficientnet_lite_fpn_backbone"  # of this project; detectron2 has none


def from_tree(tree: Mapping[str, Any]) -> ModelConfig:
    """Read a nested or flattened configuration, without ``_BASE_``.

    Raises:
        ConfigError: a key has the wrong type, or asks for what cannot be built.
    """
    values = Values(nest(tree))
    values.require("VERSION", 2)
    values.text("MODEL.META_ARCHITECTURE", "GeneralizedRCNN")
    values.require("MODEL.MASK_ON", True)
    values.require("MODEL.KEYPOINT_ON", False)
    values.require("MODEL.LOAD_PROPOSALS", False)
    values.text("MODEL.ROI_HEADS.NAME", "StandardROIHeads", "PointRendROIHeads")
    values.require("MODEL.ROI_HEADS.IN_FEATURES", list(POOLED_LEVELS))
    num_classes = values.integer("MODEL.ROI_HEADS.NUM_CLASSES", high=10_000)
    point_rend = values.text("MODEL.ROI_MASK_HEAD.NAME", *POINT_REND_HEADS, CONV_HEAD) != CONV_HEAD
    values.require("MODEL.ROI_MASK_HEAD.POINT_HEAD_ON", point_rend)
    values.require("MODEL.ROI_MASK_HEAD.CONTEXT_MAPS", 0)
    # The reference's coarse head is never class-agnostic: with points it is the point head's key that counts.
    agnostic_key = "MODEL.POINT_HEAD.CLS_AGNOSTIC_MASK" if point_rend else "MODEL.ROI_MASK_HEAD.CLS_AGNOSTIC_MASK"
    return ModelConfig(
        num_classes=num_classes,
        **read_input(values),
        trunk=read_trunk(values),
        fpn=read_fpn(values),
        rpn=_rpn(values),
        box_head=_box_head(values),
        coarse_mask=read_coarse_mask(values) if point_rend else None,
        point_head=read_point_head(values, num_classes) if point_rend else None,
        conv_mask=read_conv_mask_beside(values) if point_rend else _conv_mask(values),
        class_agnostic_mask=values.flag(agnostic_key),
        mask_calibration=values.calibration("MODEL.ROI_MASK_HEAD.SCORE_CALIBRATION"),
    )


def read_input(values: Values) -> dict[str, Any]:
    """How an image enters a network of any kind: fields of :class:`~pointrend.config.schema.NetworkConfig`."""
    return {
        "pixel_mean": values.numbers("MODEL.PIXEL_MEAN", 3),
        "pixel_std": values.numbers("MODEL.PIXEL_STD", 3, positive=True),
        "input_format": values.text("INPUT.FORMAT", "BGR", "RGB"),
        "min_size": values.integer("INPUT.MIN_SIZE_TEST"),
        "max_size": values.integer("INPUT.MAX_SIZE_TEST"),
    }


def read_trunk(values: Values) -> ResNetConfig | EfficientNetConfig:
    """The trunk below the pyramid; raises ConfigError, as the readers below do, for what cannot be built."""
    backbone = values.text("MODEL.BACKBONE.NAME", RESNET_FPN, EFFICIENTNET_FPN)
    return _resnet(values) if backbone == RESNET_FPN else _efficientnet(values)


def _resnet(values: Values) -> ResNetConfig:
    values.require("MODEL.RESNETS.OUT_FEATURES", STAGES)
    values.require("MODEL.RESNETS.RES5_DILATION", 1)
    values.require("MODEL.RESNETS.DEFORM_ON_PER_STAGE", [False] * 4)
    depth = values.integer("MODEL.RESNETS.DEPTH")
    if depth not in (18, 34, 50, 101, 152):
        raise ConfigError(f"MODEL.RESNETS.DEPTH must be one of 18, 34, 50, 101, 152, not {depth}.")
    groups = values.integer("MODEL.RESNETS.NUM_GROUPS")
    if depth < 50 and groups != 1:
        raise ConfigError(f"MODEL.RESNETS.NUM_GROUPS must be 1 at depth {depth}, not {groups}.")
    norm = values.text("MODEL.RESNETS.NORM", "FrozenBN", *BATCH_NORMS)
    return ResNetConfig(
        depth=depth,
        stem_channels=values.integer("MODEL.RESNETS.STEM_OUT_CHANNELS"),
        res2_channels=values.integer("MODEL.RESNETS.RES2_OUT_CHANNELS"),
        groups=groups,
        width_per_group=values.integer("MODEL.RESNETS.WIDTH_PER_GROUP"),
        stride_in_1x1=values.flag("MODEL.RESNETS.STRIDE_IN_1X1"),
        norm="BN" if norm in BATCH_NORMS else norm,
    )


def _efficientnet(values: Values) -> EfficientNetConfig:
    norm = values.text("MODEL.EFFICIENTNET_LITE.NORM", "FrozenBN", *BATCH_NORMS)
    return EfficientNetConfig(
        variant=values.integer("MODEL.EFFICIENTNET_LITE.VARIANT", low=0, high=4),
        norm="BN" if norm in BATCH_NORMS else norm,
    )


def read_fpn(values: Values) -> FPNConfig:
    """The feature pyramid."""
    values.require("MODEL.FPN.IN_FEATURES", STAGES)
    values.text("MODEL.FPN.FUSE_TYPE", "sum")
    norm = values.text("MODEL.FPN.NORM", "", *BATCH_NORMS)
    return FPNConfig(channels=values.integer("MODEL.FPN.OUT_CHANNELS"), norm="BN" if norm in BATCH_NORMS else norm)


def _rpn(values: Values) -> RPNConfig:
    values.text("MODEL.PROPOSAL_GENERATOR.NAME", "RPN")
    values.require("MODEL.PROPOSAL_GENERATOR.MIN_SIZE", 0)
    values.text("MODEL.ANCHOR_GENERATOR.NAME", "DefaultAnchorGenerator")
    values.require("MODEL.ANCHOR_GENERATOR.OFFSET", 0.0)
    values.text("MODEL.RPN.HEAD_NAME", "StandardRPNHead")
    values.require("MODEL.RPN.IN_FEATURES", RPN_LEVELS)
    values.require("MODEL.RPN.CONV_DIMS", [-1])
    values.require("MODEL.RPN.BBOX_REG_WEIGHTS", [1.0] * 4)
    sizes = _for_each_level(values, "MODEL.ANCHOR_GENERATOR.SIZES")
    if len({len(level) for level in sizes}) > 1:
        raise ConfigError("MODEL.ANCHOR_GENERATOR.SIZES must have equally many sizes on each level.")
    ratios = _for_each_level(values, "MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS")
    if len(set(ratios)) > 1:
        raise ConfigError("MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS must be the same on each level.")
    return RPNConfig(
        anchor_sizes=sizes,
        aspect_ratios=ratios[0],
        pre_nms_topk=values.integer("MODEL.RPN.PRE_NMS_TOPK_TEST"),
        post_nms_topk=values.integer("MODEL.RPN.POST_NMS_TOPK_TEST"),
        nms_threshold=values.fraction("MODEL.RPN.NMS_THRESH"),
    )


def _for_each_level(values: Values, key: str) -> tuple[tuple[float, ...], ...]:
    """One list a level; a single list counts for all."""
    lists = values.number_lists(key)
    if len(lists) not in (1, len(RPN_LEVELS)):
        raise ConfigError(f"{key} must have 1 or {len(RPN_LEVELS)} lists, not {len(lists)}.")
    return lists * len(RPN_LEVELS) if len(lists) == 1 else lists


def _box_head(values: Values) -> BoxHeadConfig:
    values.text("MODEL.ROI_BOX_HEAD.NAME", "FastRCNNConvFCHead")
    values.require("MODEL.ROI_BOX_HEAD.NUM_CONV", 0)
    values.require("MODEL.ROI_BOX_HEAD.POOLER_SAMPLING_RATIO", 0)
    values.text("MODEL.ROI_BOX_HEAD.POOLER_TYPE", "ROIAlignV2")
    values.require("MODEL.ROI_BOX_HEAD.USE_SIGMOID_CE", False)
    weights = values.numbers("MODEL.ROI_BOX_HEAD.BBOX_REG_WEIGHTS", 4, positive=True)
    return BoxHeadConfig(
        num_fc=values.integer("MODEL.ROI_BOX_HEAD.NUM_FC", high=16),
        fc_dim=values.integer("MODEL.ROI_BOX_HEAD.FC_DIM"),
        pooler_resolution=values.integer("MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION", high=64),
        class_agnostic=values.flag("MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG"),
        reg_weights=cast(tuple[float, float, float, float], weights),
        score_threshold=values.fraction("MODEL.ROI_HEADS.SCORE_THRESH_TEST"),
        nms_threshold=values.fraction("MODEL.ROI_HEADS.NMS_THRESH_TEST"),
        max_detections=values.integer("TEST.DETECTIONS_PER_IMAGE", high=1000),
    )


def read_coarse_mask(values: Values, level: str = FINE_LEVEL[0]) -> CoarseMaskConfig:
    """PointRend's coarse head, which must read one level of the features."""
    # In 2020 the head sampled points whatever the pooler's type said; since then the type must say that none pools.
    if values.text("MODEL.ROI_MASK_HEAD.NAME", *POINT_REND_HEADS) == "PointRendMaskHead":
        values.text("MODEL.ROI_MASK_HEAD.POOLER_TYPE", "")
    values.require("MODEL.ROI_MASK_HEAD.IN_FEATURES", [level])
    return CoarseMaskConfig(
        conv_dim=values.integer("MODEL.ROI_MASK_HEAD.CONV_DIM"),
        fc_dim=values.integer("MODEL.ROI_MASK_HEAD.FC_DIM"),
        num_fc=values.integer("MODEL.ROI_MASK_HEAD.NUM_FC", low=0, high=16),
        pooler_resolution=values.integer("MODEL.ROI_MASK_HEAD.POOLER_RESOLUTION", low=2, high=64),
        side=values.integer("MODEL.ROI_MASK_HEAD.OUTPUT_SIDE_RESOLUTION", high=64),
    )


def read_point_head(values: Values, num_classes: int) -> PointHeadConfig:
    """The point head, which must know ``num_classes``."""
    values.text("MODEL.POINT_HEAD.NAME", "StandardPointHead")
    values.require("MODEL.POINT_HEAD.IN_FEATURES", FINE_LEVEL)
    values.require("MODEL.POINT_HEAD.NUM_CLASSES", num_classes)
    return PointHeadConfig(
        fc_dim=values.integer("MODEL.POINT_HEAD.FC_DIM"),
        num_fc=values.integer("MODEL.POINT_HEAD.NUM_FC", low=0, high=16),
        coarse_pred_each_layer=values.flag("MODEL.POINT_HEAD.COARSE_PRED_EACH_LAYER"),
        subdivision_steps=values.integer("MODEL.POINT_HEAD.SUBDIVISION_STEPS", high=8),
        subdivision_points=values.integer("MODEL.POINT_HEAD.SUBDIVISION_NUM_POINTS"),
    )


def _conv_mask(values: Values) -> ConvMaskConfig:
    values.require("MODEL.ROI_MASK_HEAD.NORM", "")
    values.require("MODEL.ROI_MASK_HEAD.POOLER_SAMPLING_RATIO", 0)
    values.text("MODEL.ROI_MASK_HEAD.POOLER_TYPE", "ROIAlignV2")
    return ConvMaskConfig(
        num_conv=values.integer("MODEL.ROI_MASK_HEAD.NUM_CONV", low=0, high=16),
        conv_dim=values.integer("MODEL.ROI_MASK_HEAD.CONV_DIM"),
        pooler_resolution=values.integer("MODEL.ROI_MASK_HEAD.POOLER_RESOLUTION", high=64),
    )


def read_conv_mask_beside(values: Values) -> ConvMaskConfig | None:
    """Mask R-CNN's head beside PointRend's, where there is one."""
    if not values.flag("MODEL.CONV_MASK_HEAD.ON"):
        return None
    return ConvMaskConfig(
        num_conv=values.integer("MODEL.CONV_MASK_HEAD.NUM_CONV", low=0, high=16),
        conv_dim=values.integer("MODEL.CONV_MASK_HEAD.CONV_DIM"),
        pooler_resolution=values.integer("MODEL.CONV_MASK_HEAD.POOLER_RESOLUTION", high=64),
    )
