"""From a detectron2 configuration to a :class:`~pointrend.config.schema.SemanticConfig`, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pointrend.config.reader import read_fpn, read_input, read_point_head, read_trunk
from pointrend.config.schema import POOLED_LEVELS, SemanticConfig, SemanticHeadConfig
from pointrend.config.tree import nest
from pointrend.config.values import Values
from pointrend.config.writer import network_keys, point_head_keys, without_defaults
from pointrend.errors import ConfigError

ARCHITECTURE = "SemanticSegmentor"
GROUPS = 32  # of the head's group norm


def from_tree(tree: Mapping[str, Any]) -> SemanticConfig:
    """Read a nested or flattened configuration, without ``_BASE_``.

    Raises:
        ConfigError: a key has the wrong type, or asks for what cannot be built.
    """
    values = Values(nest(tree))
    values.require("VERSION", 2)
    values.text("MODEL.META_ARCHITECTURE", ARCHITECTURE)
    values.text("MODEL.SEM_SEG_HEAD.NAME", "PointRendSemSegHead")
    values.text("MODEL.POINT_HEAD.COARSE_SEM_SEG_HEAD_NAME", "SemSegFPNHead")
    values.require("MODEL.SEM_SEG_HEAD.IN_FEATURES", list(POOLED_LEVELS))
    values.require("MODEL.SEM_SEG_HEAD.COMMON_STRIDE", 4)
    num_classes = values.integer("MODEL.SEM_SEG_HEAD.NUM_CLASSES", low=2, high=10_000)
    return SemanticConfig(
        num_classes=num_classes,
        **read_input(values),
        trunk=read_trunk(values),
        fpn=read_fpn(values),
        semantic_head=_head(values),
        point_head=read_point_head(values, num_classes),
    )


def _head(values: Values) -> SemanticHeadConfig:
    norm = values.text("MODEL.SEM_SEG_HEAD.NORM", "GN", "")
    channels = values.integer("MODEL.SEM_SEG_HEAD.CONVS_DIM")
    if norm == "GN" and channels % GROUPS:
        raise ConfigError(f"MODEL.SEM_SEG_HEAD.CONVS_DIM must be a multiple of {GROUPS} with GN, not {channels}.")
    return SemanticHeadConfig(conv_dim=channels, norm=norm)


def to_tree(config: SemanticConfig) -> dict[str, Any]:
    """Write a configuration in detectron2's keys, nested, without those that have its defaults.

    ``from_tree(to_tree(config)) == config``.
    """
    return without_defaults(
        {
            "MODEL.META_ARCHITECTURE": ARCHITECTURE,
            **network_keys(config),
            "MODEL.SEM_SEG_HEAD.NAME": "PointRendSemSegHead",
            "MODEL.SEM_SEG_HEAD.NUM_CLASSES": config.num_classes,
            "MODEL.SEM_SEG_HEAD.CONVS_DIM": config.semantic_head.conv_dim,
            "MODEL.SEM_SEG_HEAD.NORM": config.semantic_head.norm,
            **point_head_keys(config.point_head, config.num_classes),
        }
    )
