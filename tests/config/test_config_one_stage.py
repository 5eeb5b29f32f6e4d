"""Configurations of one-stage models: read, written, and refused by the key at fault."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointrend.config.files import config_from_dict, config_to_dict, read_config
from pointrend.config.schema import (
    CoarseMaskConfig,
    ConvMaskConfig,
    GFLHeadConfig,
    GhostPANConfig,
    MaskFeaturesConfig,
    OneStageConfig,
    PointHeadConfig,
    ShuffleNetConfig,
)
from pointrend.config.tree import nest
from pointrend.errors import ConfigError
from pointrend.training.run import RECIPES

NETWORK = RECIPES / "one-stage-network.yaml"


def tree(**keys: Any) -> dict[str, Any]:
    """The packaged network's configuration with some keys replaced."""
    config = config_to_dict(read_config(NETWORK))
    for key, value in keys.items():
        section = config
        *path, last = key.split("__")
        for part in path:
            section = section.setdefault(part, {})
        section[last] = value
    return config


def test_the_packaged_network_is_nanodet_plus_m_416_with_masks() -> None:
    config = read_config(NETWORK)
    assert isinstance(config, OneStageConfig)
    assert (config.num_classes, config.min_size, config.keep_aspect) == (80, 416, False)
    assert (config.trunk, config.pyramid, config.head) == (ShuffleNetConfig(), GhostPANConfig(), GFLHeadConfig())
    assert config.conv_mask is not None
    assert (config.mask_features.num_conv, config.coarse_mask.context_maps) == (4, 16)


def test_context_maps_are_none_unless_asked_for() -> None:
    network = tree()
    del network["MODEL"]["ROI_MASK_HEAD"]["CONTEXT_MAPS"]
    config = config_from_dict(network)
    assert isinstance(config, OneStageConfig)
    assert config.coarse_mask.context_maps == 0
    assert "CONTEXT_MAPS" not in config_to_dict(config)["MODEL"]["ROI_MASK_HEAD"]


@given(
    st.builds(
        OneStageConfig,
        num_classes=st.integers(1, 100),
        pixel_mean=st.just((1.0, 2.0, 3.0)),
        pixel_std=st.just((1.0, 1.0, 1.0)),
        input_format=st.sampled_from(["BGR", "RGB"]),
        min_size=st.integers(32, 800),
        max_size=st.integers(32, 1333),
        keep_aspect=st.booleans(),
        trunk=st.builds(ShuffleNetConfig, st.sampled_from(["0.5x", "1.0x", "1.5x"])),
        pyramid=st.builds(GhostPANConfig, st.sampled_from([16, 96]), st.sampled_from([3, 5])),
        head=st.builds(GFLHeadConfig, st.integers(0, 4), st.sampled_from([3, 5]), st.integers(2, 16)),
        mask_features=st.builds(MaskFeaturesConfig, st.integers(8, 96), st.integers(0, 3), st.sampled_from(["", "BN"])),
        coarse_mask=st.builds(CoarseMaskConfig, st.integers(8, 256), context_maps=st.integers(0, 32)),
        point_head=st.builds(PointHeadConfig, st.integers(8, 256)),
        conv_mask=st.none() | st.builds(ConvMaskConfig, st.integers(0, 4)),
        mask_calibration=st.tuples(st.floats(0.1, 5), st.floats(-3, 3)),
    )
)
def test_what_is_written_reads_back(config: OneStageConfig) -> None:
    assert config_from_dict(config_to_dict(config)) == config
    assert config_from_dict(nest(config_to_dict(config))) == config


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"MODEL__SHUFFLENET_V2": {"WIDTH": "2.0x"}}, "MODEL.SHUFFLENET_V2.WIDTH must be one of '0.5x'"),
        ({"MODEL__GHOST_PAN": {"OUT_CHANNELS": 95}}, "MODEL.GHOST_PAN.OUT_CHANNELS must be even, not 95"),
        ({"MODEL__GFL_HEAD": {"KERNEL": 4}}, "MODEL.GFL_HEAD.KERNEL must be odd, not 4"),
        ({"MODEL__GFL_HEAD": {"BINS": 1}}, "MODEL.GFL_HEAD.BINS must be a whole number from 2"),
        ({"MODEL__MASK_FEATURES": {"NORM": "GN"}}, "MODEL.MASK_FEATURES.NORM must be one of '', 'BN'"),
        ({"MODEL__ROI_MASK_HEAD__IN_FEATURES": ["p2"]}, r"MODEL.ROI_MASK_HEAD.IN_FEATURES must be \['p3'\]"),
        (
            {"MODEL__ROI_MASK_HEAD__CONTEXT_MAPS": 257},
            "MODEL.ROI_MASK_HEAD.CONTEXT_MAPS must be a whole number from 0 to 256, not 257",
        ),
        (
            {"MODEL__ROI_MASK_HEAD__SCORE_CALIBRATION": [0, 1]},
            "MODEL.ROI_MASK_HEAD.SCORE_CALIBRATION must begin with a positive slope, not 0",
        ),
        (
            {"MODEL__GFL_HEAD": {"SCORE_CALIBRATION": [1]}},
            "MODEL.GFL_HEAD.SCORE_CALIBRATION must be a list of 2 numbers",
        ),
        ({"MODEL__POINT_HEAD__CLS_AGNOSTIC_MASK": False}, "MODEL.POINT_HEAD.CLS_AGNOSTIC_MASK must be true"),
        ({"MODEL__BACKBONE": {"NAME": "build_resnet_fpn_backbone"}}, "MODEL.BACKBONE.NAME must be"),
        ({"INPUT__KEEP_ASPECT_TEST": 0}, "INPUT.KEEP_ASPECT_TEST must be true or false"),
    ],
)
def test_what_cannot_be_built_is_refused_by_its_key(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config_from_dict(tree(**keys))


def test_classes_are_counted_by_the_detector_and_the_point_head_alike() -> None:
    config = read_config(NETWORK)
    assert isinstance(config, OneStageConfig)
    fewer = replace(config, num_classes=3)
    assert config_from_dict(config_to_dict(fewer)) == fewer
