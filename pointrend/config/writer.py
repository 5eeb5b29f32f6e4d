"""From a :class:`~pointrend.config.schema.ModelConfig` to detectron2's keys; the way back is in ``config_reader``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pointrend.config.defaults import DEFAULTS
from pointrend.config.reader import (
    CONV_HEAD,
    EFFICIENTNET_FPN,
    FINE_LEVEL,
    RESNET_FPN,
    RPN_LEVELS,
    STAGES,
)
from pointrend.config.schema import (
    POOLED_LEVELS,
    CoarseMaskConfig,
    ConvMaskConfig,
    EfficientNetConfig,
    FPNConfigured,
    ModelConfig,
    NetworkConfig,
    PointHeadConfig,
    ResNetConfig,
)
from pointrend.config.tree import nest
from pointrend.errors import ConfigError


def to_tree(config: ModelConfig) -> dict[str, Any]:
    """Write a configuration in detectron2's keys, nested, without those that have its defaults.

    ``from_tree(to_tree(config)) == config``.
    """
    rpn, box = config.rpn, config.box_head
    flat: dict[str, Any] = {
        **network_keys(config),
        "MODEL.META_ARCHITECTURE": "GeneralizedRCNN",
        "MODEL.MASK_ON": True,
        "MODEL.ANCHOR_GENERATOR.SIZES": [list(level) for level in rpn.anchor_sizes],
        "MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS": [list(rpn.aspect_ratios)],
        "MODEL.RPN.IN_FEATURES": list(RPN_LEVELS),
        "MODEL.RPN.PRE_NMS_TOPK_TEST": rpn.pre_nms_topk,
        "MODEL.RPN.POST_NMS_TOPK_TEST": rpn.post_nms_topk,
        "MODEL.RPN.NMS_THRESH": rpn.nms_threshold,
        "MODEL.ROI_HEADS.NAME": "StandardROIHeads",
        "MODEL.ROI_HEADS.NUM_CLASSES": config.num_classes,
        "MODEL.ROI_HEADS.IN_FEATURES": list(POOLED_LEVELS),
        "MODEL.ROI_HEADS.SCORE_THRESH_TEST": box.score_threshold,
        "MODEL.ROI_HEADS.NMS_THRESH_TEST": box.nms_threshold,
        "MODEL.ROI_BOX_HEAD.NAME": "FastRCNNConvFCHead",
        "MODEL.ROI_BOX_HEAD.NUM_FC": box.num_fc,
        "MODEL.ROI_BOX_HEAD.FC_DIM": box.fc_dim,
        "MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION": box.pooler_resolution,
        "MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG": box.class_agnostic,
        "MODEL.ROI_BOX_HEAD.BBOX_REG_WEIGHTS": list(box.reg_weights),
        "TEST.DETECTIONS_PER_IMAGE": box.max_detections,
        **_mask_keys(config),
        "MODEL.ROI_MASK_HEAD.SCORE_CALIBRATION": list(config.mask_calibration),
    }
    return without_defaults(flat)


def without_defaults(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Nest dotted keys, those left out that have detectron2's defaults."""
    kept = {key: value for key, value in flat.items() if value != DEFAULTS[key]}
    return nest({"VERSION": DEFAULTS["VERSION"], **kept})


def input_keys(config: NetworkConfig) -> dict[str, Any]:
    """Dotted keys of how an image enters a network."""
    return {
        "INPUT.FORMAT": config.input_format,
        "INPUT.MIN_SIZE_TEST": config.min_size,
        "INPUT.MAX_SIZE_TEST": config.max_size,
        "MODEL.PIXEL_MEAN": list(config.pixel_mean),
        "MODEL.PIXEL_STD": list(config.pixel_std),
    }


def network_keys(config: FPNConfigured) -> dict[str, Any]:
    """Dotted keys of what every network with a feature pyramid has, but for the number of classes."""
    return {
        **input_keys(config),
        **_trunk_keys(config.trunk),
        "MODEL.FPN.IN_FEATURES": list(STAGES),
        "MODEL.FPN.OUT_CHANNELS": config.fpn.channels,
        "MODEL.FPN.NORM": config.fpn.norm,
    }


def point_head_keys(point: PointHeadConfig, num_classes: int) -> dict[str, Any]:
    """Dotted keys of a point head."""
    return {
        "MODEL.POINT_HEAD.IN_FEATURES": list(FINE_LEVEL),
        "MODEL.POINT_HEAD.NUM_CLASSES": num_classes,
        "MODEL.POINT_HEAD.FC_DIM": point.fc_dim,
        "MODEL.POINT_HEAD.NUM_FC": point.num_fc,
        "MODEL.POINT_HEAD.COARSE_PRED_EACH_LAYER": point.coarse_pred_each_layer,
        "MODEL.POINT_HEAD.SUBDIVISION_STEPS": point.subdivision_steps,
        "MODEL.POINT_HEAD.SUBDIVISION_NUM_POINTS": point.subdivision_points,
    }


def _trunk_keys(trunk: ResNetConfig | EfficientNetConfig) -> dict[str, Any]:
    if isinstance(trunk, EfficientNetConfig):
        return {
            "MODEL.BACKBONE.NAME": EFFICIENTNET_FPN,
            "MODEL.EFFICIENTNET_LITE.VARIANT": trunk.variant,
            "MODEL.EFFICIENTNET_LITE.NORM": trunk.norm,
        }
    return {
        "MODEL.BACKBONE.NAME": RESNET_FPN,
        "MODEL.RESNETS.DEPTH": trunk.depth,
        "MODEL.RESNETS.OUT_FEATURES": list(STAGES),
        "MODEL.RESNETS.NUM_GROUPS": trunk.groups,
        "MODEL.RESNETS.NORM": trunk.norm,
        "MODEL.RESNETS.WIDTH_PER_GROUP": trunk.width_per_group,
        "MODEL.RESNETS.STRIDE_IN_1X1": trunk.stride_in_1x1,
        "MODEL.RESNETS.RES2_OUT_CHANNELS": trunk.res2_channels,
        "MODEL.RESNETS.STEM_OUT_CHANNELS": trunk.stem_channels,
    }


def _mask_keys(config: ModelConfig) -> dict[str, Any]:
    coarse, point, conv = config.coarse_mask, config.point_head, config.conv_mask
    if conv is not None and coarse is None and point is None:
        return {
            "MODEL.ROI_MASK_HEAD.NAME": CONV_HEAD,
            "MODEL.ROI_MASK_HEAD.CLS_AGNOSTIC_MASK": config.class_agnostic_mask,
            "MODEL.ROI_MASK_HEAD.NUM_CONV": conv.num_conv,
            "MODEL.ROI_MASK_HEAD.CONV_DIM": conv.conv_dim,
            "MODEL.ROI_MASK_HEAD.POOLER_RESOLUTION": conv.pooler_resolution,
        }
    if coarse is None or point is None:
        raise ConfigError("A model needs either conv_mask or both coarse_mask and point_head.")
    return {
        **coarse_mask_keys(coarse),
        **point_head_keys(point, config.num_classes),
        "MODEL.POINT_HEAD.CLS_AGNOSTIC_MASK": config.class_agnostic_mask,
        **conv_beside_keys(conv),
    }


def coarse_mask_keys(coarse: CoarseMaskConfig, level: str = FINE_LEVEL[0]) -> dict[str, Any]:
    """Dotted keys of PointRend's coarse head."""
    return {
        "MODEL.ROI_MASK_HEAD.NAME": "PointRendMaskHead",
        "MODEL.ROI_MASK_HEAD.POINT_HEAD_ON": True,
        "MODEL.ROI_MASK_HEAD.POOLER_TYPE": "",
        "MODEL.ROI_MASK_HEAD.IN_FEATURES": [level],
        "MODEL.ROI_MASK_HEAD.CONV_DIM": coarse.conv_dim,
        "MODEL.ROI_MASK_HEAD.FC_DIM": coarse.fc_dim,
        "MODEL.ROI_MASK_HEAD.NUM_FC": coarse.num_fc,
        "MODEL.ROI_MASK_HEAD.POOLER_RESOLUTION": coarse.pooler_resolution,
        "MODEL.ROI_MASK_HEAD.OUTPUT_SIDE_RESOLUTION": coarse.side,
    }


def conv_beside_keys(conv: ConvMaskConfig | None) -> dict[str, Any]:
    """Dotted keys of Mask R-CNN's head beside PointRend's, if it is there."""
    if conv is None:
        return {}
    return {
        "MODEL.CONV_MASK_HEAD.ON": True,
        "MODEL.CONV_MASK_HEAD.NUM_CONV": conv.num_conv,
        "MODEL.CONV_MASK_HEAD.CONV_DIM": conv.conv_dim,
        "MODEL.CONV_MASK_HEAD.POOLER_RESOLUTION": conv.pooler_resolution,
    }
