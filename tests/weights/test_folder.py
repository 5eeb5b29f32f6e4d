"""Model folders: the one that comes with the package, converting one, and refusing incomplete ones."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from pointrend.config.files import config_from_dict, config_to_dict, read_config
from pointrend.config.schema import ModelConfig, OneStageConfig
from pointrend.errors import CheckpointError, ConfigError
from pointrend.modeling.one_stage.network import OneStage
from pointrend.modeling.rcnn import RCNN
from pointrend.structures.model_info import Category, ModelInfo
from pointrend.weights import zoo
from pointrend.weights.checkpoint import load_into, load_network, read_checkpoint
from pointrend.weights.convert import convert
from pointrend.weights.folder import ModelFolder

GOLDEN = Path(__file__).parents[1] / "golden" / "pointrend_3class_portrait"
INFO = ModelInfo(
    "test", "1.0", (Category(1, "one"), Category(2, "two"), Category(7, "seven")), ("two",), "A test.", "None."
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return convert(GOLDEN / "model_final.pkl", GOLDEN / "config.yaml", tmp_path / "model", INFO).path


def edit_info(folder: Path, **changes: Any) -> None:
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_the_demo_is_complete() -> None:
    demo = ModelFolder.open("demo")
    assert demo.info.name == "pointrend-demo"
    assert [category.id for category in demo.info.categories] == [
        each.id for each in zoo.find("coco-r50-3x").info.categories
    ]
    assert demo.info.reliable == ()
    assert 0 < len(demo.info.often_missed) < 40
    assert demo.config.conv_mask is not None
    assert demo.info.description
    assert demo.info.licence
    assert (demo.path / "MODEL_CARD.md").is_file()
    assert demo.weights.stat().st_size < 12_000_000
    assert isinstance(demo.config, OneStageConfig)
    load_into(OneStage(demo.config), read_checkpoint(demo.weights))


def test_a_partial_configuration_means_its_full_one() -> None:
    """The narrow network as its training configuration says it, key by key, over the published R50's full one."""
    full = yaml.safe_load((GOLDEN.parent / "keys" / "pointrend_rcnn_R_50_FPN_3x_coco.config.yaml").read_text())
    narrow: dict[str, dict[str, Any]] = {
        "INPUT": {"MIN_SIZE_TEST": 320, "MAX_SIZE_TEST": 512},
        "MODEL": {
            "PIXEL_STD": [57.375, 57.12, 58.395],
            "RESNETS": {
                "NORM": "BN",
                "RES2_OUT_CHANNELS": 96,
                "STEM_OUT_CHANNELS": 32,
                "WIDTH_PER_GROUP": 24,
                "STRIDE_IN_1X1": False,
            },
            "FPN": {"NORM": "BN", "OUT_CHANNELS": 64},
            "RPN": {"PRE_NMS_TOPK_TEST": 500, "POST_NMS_TOPK_TEST": 300},
            "ROI_HEADS": {"NUM_CLASSES": 8},
            "ROI_BOX_HEAD": {"FC_DIM": 256},
            "ROI_MASK_HEAD": {"CONV_DIM": 64, "FC_DIM": 256},
            "POINT_HEAD": {"FC_DIM": 64, "NUM_CLASSES": 8},
        },
    }
    full["INPUT"].update(narrow["INPUT"])
    for section, values in narrow["MODEL"].items():
        if isinstance(values, dict):
            full["MODEL"][section].update(values)
        else:
            full["MODEL"][section] = values
    demo = ModelFolder.open(Path(__file__).parents[1] / "demo" / "reference_model")
    assert demo.config == config_from_dict(full)
    assert len((demo.path / "config.yaml").read_text().splitlines()) < 60


def test_opening_a_folder_imports_no_torch() -> None:
    code = (
        "import sys; from pointrend.weights.folder import ModelFolder; "
        "ModelFolder.open('demo'); print('torch' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert result.stdout.strip() == "False"


def test_converting_keeps_weights_configuration_and_info(folder: Path) -> None:
    opened = ModelFolder.open(folder)
    assert opened.info == INFO
    assert opened.config == read_config(GOLDEN / "config.yaml")
    assert sorted(path.name for path in folder.iterdir()) == ["config.yaml", "model.json", "model.safetensors"]
    wanted, found = read_checkpoint(GOLDEN / "model_final.pkl"), read_checkpoint(opened.weights)
    assert wanted.keys() == found.keys()
    assert all(torch.equal(wanted[key], found[key]) for key in wanted)


def test_converting_to_half_takes_less_room(folder: Path, tmp_path: Path) -> None:
    half = convert(GOLDEN / "model_final.pkl", GOLDEN / "config.yaml", tmp_path / "half", INFO, half=True)
    assert half.weights.stat().st_size < 0.6 * (folder / "model.safetensors").stat().st_size
    assert isinstance(half.config, ModelConfig)
    load_into(RCNN(half.config), read_checkpoint(half.weights))


def test_nothing_is_written_where_it_does_not_fit(tmp_path: Path) -> None:
    other = GOLDEN.parent / "maskrcnn_coco80_landscape" / "model_final.pkl"
    with pytest.raises(CheckpointError, match="does not fit"):
        convert(other, GOLDEN / "config.yaml", tmp_path / "model", INFO)
    two = ModelInfo("test", "1.0", INFO.categories[:2])
    with pytest.raises(ConfigError, match=r"2 categories, but MODEL\.ROI_HEADS\.NUM_CLASSES is 3"):
        convert(GOLDEN / "model_final.pkl", GOLDEN / "config.yaml", tmp_path / "model", two)
    assert not (tmp_path / "model").exists()


def test_an_unknown_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no model 'dmeo'.*\(demo\)"):
        ModelFolder.open("dmeo")
    for name in (tmp_path / "absent", "~nobody-of-this-name/model", "a\0b", "x" * 5000, ""):
        with pytest.raises(ConfigError, match=r"neither a folder|not a model folder"):
            ModelFolder.open(name)


def test_a_relative_folder_stays_where_it_was(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    opened = ModelFolder.open("model")
    monkeypatch.chdir("/")
    assert opened.weights.is_file()


@pytest.mark.parametrize(
    ("name", "error"),
    [("model.json", ConfigError), ("config.yaml", ConfigError), ("model.safetensors", CheckpointError)],
)
def test_a_missing_file_is_named(folder: Path, name: str, error: type[Exception]) -> None:
    (folder / name).unlink()
    with pytest.raises(error, match=name):
        ModelFolder.open(folder)


@pytest.mark.parametrize(
    "name", ["model.PTH", "model_final.pkl", "last.Ckpt", "pytorch_model.bin", "MODEL.SAFETENSORS"]
)
def test_weights_may_have_another_name(folder: Path, name: str) -> None:
    (folder / "model.safetensors").rename(folder / name)  # what they are is told by their content
    opened = ModelFolder.open(folder)
    assert opened.weights == folder / name
    assert isinstance(opened.config, ModelConfig)
    load_into(RCNN(opened.config), read_checkpoint(opened.weights))


def test_of_several_files_the_usual_one_is_taken_or_all_are_named(folder: Path) -> None:
    shutil.copyfile(folder / "model.safetensors", folder / "last.pth")
    assert ModelFolder.open(folder).weights == folder / "model.safetensors"
    (folder / "model.safetensors").rename(folder / "best.pth")
    with pytest.raises(CheckpointError, match=r"2 files of weights, best\.pth, last\.pth: keep one"):
        ModelFolder.open(folder)


@pytest.mark.parametrize("name", ["model.json", "config.yaml", "model.safetensors"])
def test_files_that_are_no_files_are_refused(folder: Path, name: str) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises((ConfigError, CheckpointError), match=rf"{name}.*(a FIFO|not a regular file)"):
        ModelFolder.open(folder)


def test_info_of_any_size_and_depth_is_bounded(folder: Path) -> None:
    path = folder / "model.json"
    tree = json.loads(path.read_text())
    for text, words in (
        (json.dumps(tree | {"description": "x" * 1_000_000}), "at most 1000000 bytes"),
        (json.dumps(tree | {"x": 0})[:-1].replace('"x": 0', '"x": ' + "[" * 40 + "]" * 40) + "}", "levels deep"),
        ("[" * 400_000, "is not JSON"),
        (json.dumps(tree)[:-1] + ', "name": "other"}', "'name' appears twice"),
        (json.dumps(tree)[:-1] + ', "x": NaN}', "NaN is not a JSON number"),
        (json.dumps(tree | {"categories": [{"id": n, "name": str(n)} for n in range(20_000)]}), "10000 items"),
    ):
        path.write_text(text)
        with pytest.raises(ConfigError, match=words):
            ModelFolder.open(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": 3}, "name must be text, not 3"),
        ({"name": ""}, "name must be text"),
        ({"version": None}, "version must be text"),
        ({"licence": 1}, "licence must be text"),
        ({"categories": {}}, "categories must be a list"),
        ({"categories": [{"id": "1", "name": "one"}]}, "a category must be like"),
        ({"categories": [{"id": True, "name": "one"}]}, "a category must be like"),
        ({"categories": ["one"]}, "a category must be like"),
        ({"categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}, "id 1 more than once"),
        ({"categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "a"}]}, "name 'a' more than once"),
        ({"categories": [{"id": 2, "name": "two"}]}, "1 categories, but MODEL.ROI_HEADS.NUM_CLASSES is 3"),
        ({"categories": [{"id": -1, "name": "one"}]}, "id must be from 0 to"),
        ({"categories": [{"id": 10**4000, "name": "one"}]}, "id must be from 0 to"),
        ({"categories": [{"id": 1, "name": "a" * 201}]}, "at most 200 characters"),
        ({"categories": [{"id": 1, "name": "\ud800"}]}, "a category must be like"),
        ({"name": "a\0b"}, "control character"),
        ({"description": "\ud800"}, "surrogate"),
        ({"reliable": [["two"]]}, "reliable names"),
        ({"reliable": "two"}, "reliable must be a list"),
        ({"reliable": ["eight"]}, "reliable names 'eight'"),
    ],
)
def test_malformed_info_is_refused(folder: Path, changes: dict[str, Any], message: str) -> None:
    edit_info(folder, **changes)
    with pytest.raises(ConfigError, match=message) as caught:
        ModelFolder.open(folder)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("text", ["{", "[]", '"text"'])
def test_info_that_is_no_object_is_refused(folder: Path, text: str) -> None:
    (folder / "model.json").write_text(text)
    with pytest.raises(ConfigError, match=r"model\.json: (is not JSON|it must hold an object)"):
        ModelFolder.open(folder)


def test_optional_parts_of_the_info_may_be_left_out(folder: Path) -> None:
    path = folder / "model.json"
    tree = json.loads(path.read_text())
    path.write_text(json.dumps({key: tree[key] for key in ("name", "version", "categories")}))
    info = ModelFolder.open(folder).info
    assert (info.reliable, info.description, info.licence) == ((), "", "")


def test_the_demos_name_wins_over_a_folder_of_that_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(folder, folder.parent / "demo")
    monkeypatch.chdir(folder.parent)
    assert ModelFolder.open("demo").info.name == "pointrend-demo"
    assert ModelFolder.open("./demo").info == INFO


@pytest.mark.parametrize(
    "changes",
    [
        {"MODEL.ROI_BOX_HEAD.FC_DIM": 65536, "MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION": 64},
        {"MODEL.FPN.OUT_CHANNELS": 65536},
        {"MODEL.ROI_HEADS.NUM_CLASSES": 10_000, "MODEL.POINT_HEAD.NUM_CLASSES": 10_000},
        {"MODEL.RESNETS.RES2_OUT_CHANNELS": 65536},
    ],
)
def test_a_network_larger_than_its_weights_is_never_allocated(folder: Path, changes: dict[str, int]) -> None:
    network = config_from_dict(config_to_dict(read_config(folder / "config.yaml")) | changes)
    with pytest.raises(CheckpointError, match="does not fit"):
        load_network(network, read_checkpoint(folder / "model.safetensors"))
