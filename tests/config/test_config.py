"""Reading detectron2's configurations: full, partial, flattened, chained; and refusing what cannot be built."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from pointrend.config.files import config_from_dict, config_to_dict, read_config
from pointrend.config.schema import ConvMaskConfig, EfficientNetConfig, ModelConfig
from pointrend.config.tree import nest
from pointrend.errors import ConfigError

KEYS = Path(__file__).parents[1] / "golden" / "keys"
POINT_REND = KEYS / "pointrend_rcnn_R_50_FPN_3x_coco.config.yaml"
MASK_RCNN = KEYS / "mask_rcnn_R_50_FPN_3x.config.yaml"

# What detectron2's own base file for R-CNN with FPN says, and what PointRend's adds.
BASE_FPN = """
MODEL:
  META_ARCHITECTURE: "GeneralizedRCNN"
  BACKBONE: {NAME: "build_resnet_fpn_backbone"}
  RESNETS: {OUT_FEATURES: ["res2", "res3", "res4", "res5"]}
  FPN: {IN_FEATURES: ["res2", "res3", "res4", "res5"]}
  ANCHOR_GENERATOR: {SIZES: [[32], [64], [128], [256], [512]], ASPECT_RATIOS: [[0.5, 1.0, 2.0]]}
  RPN: {IN_FEATURES: ["p2", "p3", "p4", "p5", "p6"], PRE_NMS_TOPK_TEST: 1000, POST_NMS_TOPK_TEST: 1000}
  ROI_HEADS: {NAME: "StandardROIHeads", IN_FEATURES: ["p2", "p3", "p4", "p5"]}
  ROI_BOX_HEAD: {NAME: "FastRCNNConvFCHead", NUM_FC: 2, POOLER_RESOLUTION: 7}
SOLVER: {STEPS: (60000, 80000)}
VERSION: 2
"""
BASE_POINT_REND = """
_BASE_: "../fpn.yaml"
MODEL:
  MASK_ON: true
  ROI_MASK_HEAD: {POOLER_TYPE: "", NAME: PointRendMaskHead, IN_FEATURES: [p2], POINT_HEAD_ON: True}
  POINT_HEAD: {IN_FEATURES: ["p2"]}
"""


def flat(path: Path = POINT_REND) -> dict[str, Any]:
    """A full configuration by dotted keys."""
    result: dict[str, Any] = {}

    def walk(prefix: str, node: Any) -> None:
        for key, value in node.items():
            if isinstance(value, dict):
                walk(f"{prefix}{key}.", value)
            else:
                result[prefix + key] = value

    walk("", yaml.safe_load(path.read_text()))
    return result


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    write(tmp_path / "fpn.yaml", BASE_FPN)
    write(tmp_path / "point" / "base.yaml", BASE_POINT_REND)
    return write(tmp_path / "point" / "model.yaml", "_BASE_: base.yaml\nMODEL: {RESNETS: {DEPTH: 50}}\n")


def test_published_point_rend() -> None:
    config = read_config(POINT_REND)
    assert config.num_classes == 80
    assert config.pixel_mean == (103.53, 116.28, 123.675)
    assert config.pixel_std == (1.0, 1.0, 1.0)
    assert (config.input_format, config.min_size, config.max_size) == ("BGR", 800, 1333)
    assert config.trunk.stride_in_1x1
    assert config.trunk.norm == "FrozenBN"
    assert config.rpn.anchor_sizes == ((32.0,), (64.0,), (128.0,), (256.0,), (512.0,))
    assert (config.rpn.pre_nms_topk, config.box_head.num_fc, config.box_head.pooler_resolution) == (1000, 2, 7)
    assert config.coarse_mask is not None
    assert config.point_head is not None
    assert config.conv_mask is None
    assert (config.coarse_mask.side, config.point_head.subdivision_points) == (7, 784)


def test_published_variants() -> None:
    x101 = read_config(KEYS / "pointrend_rcnn_X_101_32x8d_FPN_3x_coco.config.yaml")
    assert (x101.trunk.depth, x101.trunk.groups, x101.trunk.width_per_group) == (101, 32, 8)
    assert not x101.trunk.stride_in_1x1
    assert x101.pixel_std == (57.375, 57.12, 58.395)
    cityscapes = read_config(KEYS / "pointrend_rcnn_R_50_FPN_1x_cityscapes.config.yaml")
    assert (cityscapes.num_classes, cityscapes.min_size, cityscapes.max_size) == (8, 1024, 2048)


def test_published_mask_rcnn() -> None:
    config = read_config(MASK_RCNN)
    assert config.conv_mask == ConvMaskConfig(num_conv=4, conv_dim=256, pooler_resolution=14)
    assert config.coarse_mask is None
    assert config.point_head is None


def test_flattened_yaml_and_json_mean_the_same(tmp_path: Path) -> None:
    wanted = read_config(POINT_REND)
    assert config_from_dict(flat()) == wanted
    assert read_config(write(tmp_path / "flat.json", json.dumps(flat()))) == wanted
    assert read_config(write(tmp_path / "flat.yaml", yaml.safe_dump(flat()))) == wanted
    tree = yaml.safe_load(POINT_REND.read_text())
    assert read_config(write(tmp_path / "nested.json", json.dumps(tree))) == wanted


def test_base_chain_with_defaults_means_the_full_configuration(chain: Path, tmp_path: Path) -> None:
    assert read_config(chain, tmp_path) == read_config(chain, tmp_path) == read_config(POINT_REND)


def test_the_last_base_wins_and_the_file_over_it(chain: Path) -> None:
    write(chain.parent / "more.yaml", "MODEL.RESNETS.DEPTH: 101\nINPUT.MIN_SIZE_TEST: 640\n")
    top = write(chain.parent / "top.yaml", "_BASE_: [model.yaml, more.yaml]\nINPUT: {MIN_SIZE_TEST: 480}\n")
    config = read_config(top, chain.parents[1])
    assert (config.trunk.depth, config.min_size) == (101, 480)


def test_base_cycle_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", "_BASE_: b.yaml\n")
    write(tmp_path / "b.yaml", "_BASE_: a.yaml\n")
    with pytest.raises(ConfigError, match=r"_BASE_ leads back .* a\.yaml -> b\.yaml -> a\.yaml"):
        read_config(tmp_path / "a.yaml")


def test_missing_base_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml"):
        read_config(write(tmp_path / "a.yaml", "_BASE_: nowhere.yaml\n"))


def test_configuration_of_2020_means_the_same_model(chain: Path) -> None:
    text = """
_BASE_: ../fpn.yaml
MODEL:
  MASK_ON: true
  ROI_HEADS: {NAME: PointRendROIHeads}
  ROI_MASK_HEAD: {NAME: CoarseMaskHead, FC_DIM: 1024, NUM_FC: 2, IN_FEATURES: ["p2"], POINT_HEAD_ON: true}
  POINT_HEAD: {FC_DIM: 256, NUM_FC: 3, IN_FEATURES: ["p2"]}
"""
    root = chain.parents[1]
    assert read_config(write(chain.parent / "old.yaml", text), root) == read_config(chain, root)


def test_python_tuples_are_read_as_tags_and_as_text(chain: Path) -> None:
    tagged = "PIXEL_STD: !!python/tuple [57.375, 57.12, 58.395]"
    text = f'_BASE_: model.yaml\nMODEL:\n  {tagged}\n  RPN: {{BBOX_REG_WEIGHTS: "(1.0, 1.0, 1.0, 1.0)"}}\n'
    config = read_config(write(chain.parent / "tuples.yaml", text), chain.parents[1])
    assert config.pixel_std == (57.375, 57.12, 58.395)


def test_yaml_runs_nothing(tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    path = write(tmp_path / "evil.yaml", f'MODEL: !!python/object/apply:os.mkdir ["{proof}"]\n')
    with pytest.raises(ConfigError, match=r"python/object/apply:os\.mkdir"):
        read_config(path)
    assert not proof.exists()


def test_yaml_bombs_are_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(ConfigError, match="at most 100000 values"):
        read_config(write(tmp_path / "bomb.yaml", "\n".join(lines)))
    with pytest.raises(ConfigError, match="at most 100000 values"):
        read_config(write(tmp_path / "loop.yaml", "MODEL: &m {X: *m}\n"))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("c.yaml", "MODEL: [", "not a readable configuration"),
        ("c.json", "{", "not a readable configuration"),
        ("c.yaml", "just text", "must hold keys and values, not str"),
        ("c.yaml", "", "must hold keys and values, not NoneType"),
        ("c.yaml", "MODEL.FPN: 1\nMODEL.FPN.NORM: BN\n", "FPN is a section in one place"),
        ("c.yaml", "_BASE_: [3]\n", "_BASE_ must be a file name"),
        ("c.yaml", "x: " + "y" * 1_000_001, "at most 1000000 bytes"),
    ],
)
def test_malformed_files_are_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = write(tmp_path / name, text)
    with pytest.raises(ConfigError, match=message) as caught:
        read_config(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("VERSION", 1, "2"),
        ("MODEL.META_ARCHITECTURE", "PanopticFPN", "'GeneralizedRCNN'"),
        ("MODEL.BACKBONE.NAME", "build_swin_fpn_backbone", "'build_resnet_fpn_backbone'"),
        ("MODEL.MASK_ON", False, "true"),
        ("MODEL.KEYPOINT_ON", True, "false"),
        ("MODEL.RESNETS.DEPTH", 77, "18, 34, 50, 101, 152"),
        ("MODEL.RESNETS.NORM", "GN", "'FrozenBN', 'BN'"),
        ("MODEL.RESNETS.RES5_DILATION", 2, "1"),
        ("MODEL.RESNETS.DEFORM_ON_PER_STAGE", [False, True, True, True], "False, False, False, False"),
        ("MODEL.FPN.FUSE_TYPE", "avg", "'sum'"),
        ("MODEL.FPN.NORM", "GN", "'BN'"),
        ("MODEL.FPN.IN_FEATURES", ["res3", "res4", "res5"], "res2"),
        ("MODEL.ANCHOR_GENERATOR.NAME", "RotatedAnchorGenerator", "'DefaultAnchorGenerator'"),
        ("MODEL.ANCHOR_GENERATOR.OFFSET", 0.5, "0.0"),
        ("MODEL.ANCHOR_GENERATOR.SIZES", [[32], [64]], "1 or 5 lists"),
        ("MODEL.ANCHOR_GENERATOR.SIZES", [[32], [64], [128], [256], [512, 600]], "equally many"),
        ("MODEL.ANCHOR_GENERATOR.SIZES", [32, 64], "list of lists"),
        ("MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS", [[1.0], [1.0], [1.0], [1.0], [2.0]], "same on each level"),
        ("MODEL.RPN.HEAD_NAME", "Other", "'StandardRPNHead'"),
        ("MODEL.RPN.CONV_DIMS", [-1, -1], "[-1]"),
        ("MODEL.ROI_HEADS.NAME", "CascadeROIHeads", "'StandardROIHeads'"),
        ("MODEL.ROI_BOX_HEAD.NUM_CONV", 4, "0"),
        ("MODEL.ROI_BOX_HEAD.POOLER_SAMPLING_RATIO", 2, "0"),
        ("MODEL.ROI_BOX_HEAD.POOLER_TYPE", "ROIPool", "'ROIAlignV2'"),
        ("MODEL.ROI_BOX_HEAD.USE_SIGMOID_CE", True, "false"),
        ("MODEL.ROI_MASK_HEAD.NAME", "ImplicitPointRendMaskHead", "'PointRendMaskHead'"),
        ("MODEL.ROI_MASK_HEAD.CONTEXT_MAPS", 16, "must be 0, not 16"),
        ("MODEL.ROI_MASK_HEAD.POINT_HEAD_ON", False, "true"),
        ("MODEL.ROI_MASK_HEAD.POOLER_TYPE", "ROIAlignV2", "''"),
        ("MODEL.POINT_HEAD.NAME", "ImplicitPointHead", "'StandardPointHead'"),
        ("MODEL.POINT_HEAD.NUM_CLASSES", 3, "80"),
        ("MODEL.ROI_HEADS.NUM_CLASSES", "many", "whole number"),
        ("MODEL.ROI_HEADS.NUM_CLASSES", True, "whole number"),
        ("MODEL.ROI_HEADS.NUM_CLASSES", 2.5, "whole number"),
        ("MODEL.FPN.OUT_CHANNELS", 0, "1 to 65536"),
        ("MODEL.RPN.NMS_THRESH", 1.5, "from 0 to 1"),
        ("MODEL.RESNETS.STRIDE_IN_1X1", "yes", "true or false"),
        ("MODEL.PIXEL_STD", [1.0, 1.0], "3 positive numbers"),
        ("MODEL.PIXEL_STD", [1.0, 0.0, 1.0], "3 positive numbers"),
        ("MODEL.PIXEL_MEAN", [1.0, float("nan"), 1.0], "3 numbers"),
        ("INPUT.FORMAT", "YUV", "'BGR', 'RGB'"),
        ("INPUT.MIN_SIZE_TEST", 0, "1 to 65536"),
    ],
)
def test_what_cannot_be_built_is_refused_by_its_key(key: str, value: Any, allowed: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config_from_dict(flat() | {key: value})
    message = str(caught.value)
    assert message.startswith(f"{key} must ")
    assert allowed in message


def test_a_default_is_called_one() -> None:
    tree = flat()
    del tree["MODEL.BACKBONE.NAME"]
    with pytest.raises(ConfigError, match=r"not 'build_resnet_backbone', which is detectron2's default"):
        config_from_dict(tree)


def test_a_value_where_a_section_belongs_is_refused() -> None:
    tree = {key: value for key, value in flat().items() if not key.startswith("MODEL.FPN")}
    with pytest.raises(ConfigError, match=r"MODEL\.FPN\.IN_FEATURES cannot be read: .* 3, not a section"):
        config_from_dict(tree | {"MODEL.FPN": 3})


def test_grouped_basic_blocks_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"NUM_GROUPS must be 1 at depth 18, not 2"):
        config_from_dict(flat() | {"MODEL.RESNETS.DEPTH": 18, "MODEL.RESNETS.NUM_GROUPS": 2})


def test_synchronised_norms_are_plain_ones() -> None:
    config = config_from_dict(flat() | {"MODEL.RESNETS.NORM": "SyncBN", "MODEL.FPN.NORM": "nnSyncBN"})
    assert (config.trunk.norm, config.fpn.norm) == ("BN", "BN")


def test_one_list_of_anchors_counts_for_every_level() -> None:
    config = config_from_dict(flat() | {"MODEL.ANCHOR_GENERATOR.SIZES": [[32, 64]]})
    assert config.rpn.anchor_sizes == ((32.0, 64.0),) * 5


def test_class_agnostic_masks_have_a_key_for_each_head() -> None:
    points = flat() | {"MODEL.POINT_HEAD.CLS_AGNOSTIC_MASK": True}
    assert config_from_dict(points).class_agnostic_mask
    constant = flat(MASK_RCNN) | {"MODEL.ROI_MASK_HEAD.CLS_AGNOSTIC_MASK": True}
    assert config_from_dict(constant).class_agnostic_mask


@pytest.mark.parametrize("path", sorted(KEYS.glob("*.config.yaml")), ids=lambda path: path.name.split(".")[0])
def test_what_is_written_reads_back(path: Path) -> None:
    config = read_config(path)
    tree = config_to_dict(config)
    assert config_from_dict(yaml.safe_load(yaml.safe_dump(tree))) == config
    assert "STRIDE_IN_1X1" not in tree["MODEL"]["RESNETS"] or not config.trunk.stride_in_1x1


def test_this_projects_own_keys_read_back() -> None:
    keys = {
        "MODEL.BACKBONE.NAME": "build_efficientnet_lite_fpn_backbone",
        "MODEL.EFFICIENTNET_LITE.VARIANT": 2,
        "MODEL.EFFICIENTNET_LITE.NORM": "BN",
        "MODEL.CONV_MASK_HEAD.ON": True,
        "MODEL.CONV_MASK_HEAD.CONV_DIM": 64,
    }
    config = config_from_dict(flat() | keys)
    assert config.trunk == EfficientNetConfig(variant=2, norm="BN")
    assert config.conv_mask == ConvMaskConfig(num_conv=4, conv_dim=64, pooler_resolution=14)
    assert config.point_head is not None
    assert config_from_dict(config_to_dict(config)) == config
    with pytest.raises(ConfigError, match=r"EFFICIENTNET_LITE\.VARIANT"):
        config_from_dict(flat() | keys | {"MODEL.EFFICIENTNET_LITE.VARIANT": 9})


def test_a_model_without_mask_head_cannot_be_written() -> None:
    config = read_config(POINT_REND)
    assert isinstance(config, ModelConfig)
    config = replace(config, point_head=None)
    with pytest.raises(ConfigError, match="either conv_mask or both"):
        config_to_dict(config)


def test_nest_splits_dotted_keys_at_every_depth() -> None:
    assert nest({"A.B": 1, "A": {"C.D": 2}}) == {"A": {"B": 1, "C": {"D": 2}}}
