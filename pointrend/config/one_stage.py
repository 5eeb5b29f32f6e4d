"""From a configuration to a :class:`~pointrend.config.schema.OneStageConfig`, and back.

detectron2 has no such network: META_ARCHITECTURE and several sections are this project's own, and what is common (the
input, the mask heads) has detectron2's keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pointrend.config.reader import read_coarse_mask, read_conv_mask_beside, read_input, read_point_head
from pointrend.config.schema import GFLHeadConfig, GhostPANConfig, MaskFeaturesConfig, OneStageConfig, ShuffleNetConfig
from pointrend.config.tree import nest
from pointrend.config.values import Values
from pointrend.config.writer import coarse_mask_keys, conv_beside_keys, input_keys, point_head_keys, without_defaults
from pointrend.errors import ConfigError

ARCHITECTURE = "OneStagePointRend"
BACKBONE = "build_shufflenet_v2_ghost_pan_backbone"
COARSE_LEVEL = "p3"  # all levels fused; points read p2 beside
WIDTHS = ("0.5x", "1.0x", "1.5x")
NORMS = ("", "BN")


def from_tree(tree: Mapping[str, Any]) -> OneStageConfig:
    """Read a nested or flattened configuration, without ``_BASE_``.

    Raises:
        ConfigError: a key has the wrong type, or asks for what cannot be built.
    """
    values = Values(nest(tree))
    values.require("VERSION", 2)
    values.text("MODEL.META_ARCHITECTURE", ARCHITECTURE)
    values.text("MODEL.BACKBONE.NAME", BACKBONE)
    values.require("MODEL.MASK_ON", True)
    values.require("MODEL.ROI_MASK_HEAD.POINT_HEAD_ON", True)
    values.text("MODEL.ROI_MASK_HEAD.NAME", "PointRendMaskHead")
    values.require("MODEL.POINT_HEAD.CLS_AGNOSTIC_MASK", True)
    num_classes = values.integer("MODEL.GFL_HEAD.NUM_CLASSES", high=10_000)
    return OneStageConfig(
        num_classes=num_classes,
        **read_input(values),
        keep_aspect=values.flag("INPUT.KEEP_ASPECT_TEST"),
        trunk=ShuffleNetConfig(width=values.text("MODEL.SHUFFLENET_V2.WIDTH", *WIDTHS)),
        pyramid=GhostPANConfig(
            channels=_even(values, "MODEL.GHOST_PAN.OUT_CHANNELS"), kernel=_odd(values, "MODEL.GHOST_PAN.KERNEL")
        ),
        head=GFLHeadConfig(
            num_conv=values.integer("MODEL.GFL_HEAD.NUM_CONV", low=0, high=16),
            kernel=_odd(values, "MODEL.GFL_HEAD.KERNEL"),
            bins=values.integer("MODEL.GFL_HEAD.BINS", low=2, high=64),
            score_threshold=values.fraction("MODEL.GFL_HEAD.SCORE_THRESH_TEST"),
            nms_threshold=values.fraction("MODEL.GFL_HEAD.NMS_THRESH_TEST"),
            max_detections=values.integer("TEST.DETECTIONS_PER_IMAGE", high=1000),
            calibration=values.calibration("MODEL.GFL_HEAD.SCORE_CALIBRATION"),
        ),
        mask_features=MaskFeaturesConfig(
            channels=values.integer("MODEL.MASK_FEATURES.CHANNELS"),
            num_conv=values.integer("MODEL.MASK_FEATURES.NUM_CONV", low=0, high=16),
            norm=values.text("MODEL.MASK_FEATURES.NORM", *NORMS),
        ),
        coarse_mask=replace(
            read_coarse_mask(values, COARSE_LEVEL),
            context_maps=values.integer("MODEL.ROI_MASK_HEAD.CONTEXT_MAPS", low=0, high=256),
        ),
        point_head=read_point_head(values, num_classes),
        conv_mask=read_conv_mask_beside(values),
        mask_calibration=values.calibration("MODEL.ROI_MASK_HEAD.SCORE_CALIBRATION"),
    )


def _odd(values: Values, key: str) -> int:
    """A kernel's side, which must have a middle."""
    side = values.integer(key, high=15)
    if side % 2 == 0:
        raise ConfigError(f"{key} must be odd, not {side}.")
    return side


def _even(values: Values, key: str) -> int:
    """A ghost module's channels, half of which are made from the other half."""
    channels = values.integer(key)
    if channels % 2:
        raise ConfigError(f"{key} must be even, not {channels}.")
    return channels


def to_tree(config: OneStageConfig) -> dict[str, Any]:
    """Write a configuration, nested, without keys that have their default.

    ``from_tree(to_tree(config)) == config``.
    """
    head, features = config.head, config.mask_features
    return without_defaults(
        {
            "MODEL.META_ARCHITECTURE": ARCHITECTURE,
            **input_keys(config),
            "INPUT.KEEP_ASPECT_TEST": config.keep_aspect,
            "MODEL.BACKBONE.NAME": BACKBONE,
            "MODEL.SHUFFLENET_V2.WIDTH": config.trunk.width,
            "MODEL.GHOST_PAN.OUT_CHANNELS": config.pyramid.channels,
            "MODEL.GHOST_PAN.KERNEL": config.pyramid.kernel,
            "MODEL.GFL_HEAD.NUM_CLASSES": config.num_classes,
            "MODEL.GFL_HEAD.NUM_CONV": head.num_conv,
            "MODEL.GFL_HEAD.KERNEL": head.kernel,
            "MODEL.GFL_HEAD.BINS": head.bins,
            "MODEL.GFL_HEAD.SCORE_THRESH_TEST": head.score_threshold,
            "MODEL.GFL_HEAD.NMS_THRESH_TEST": head.nms_threshold,
            "MODEL.GFL_HEAD.SCORE_CALIBRATION": list(head.calibration),
            "TEST.DETECTIONS_PER_IMAGE": head.max_detections,
            "MODEL.MASK_ON": True,
            "MODEL.MASK_FEATURES.CHANNELS": features.channels,
            "MODEL.MASK_FEATURES.NUM_CONV": features.num_conv,
            "MODEL.MASK_FEATURES.NORM": features.norm,
            **coarse_mask_keys(config.coarse_mask, COARSE_LEVEL),
            "MODEL.ROI_MASK_HEAD.CONTEXT_MAPS": config.coarse_mask.context_maps,
            **point_head_keys(config.point_head, config.num_classes),
            "MODEL.POINT_HEAD.CLS_AGNOSTIC_MASK": True,
            **conv_beside_keys(config.conv_mask),
            "MODEL.ROI_MASK_HEAD.SCORE_CALIBRATION": list(config.mask_calibration),
        }
    )
