"""A one-stage model in every engine: which run it, that they answer about what eager does, and who refuses it."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

import pointrend
from pointrend.bench.subjects import boxes
from pointrend.config.schema import OneStageConfig
from pointrend.engines import AUTO, BF16, DETECTRON2, EAGER, EXPORTED, OPENVINO, OPENVINO_INT8, resolve
from pointrend.engines.parts import parts
from pointrend.errors import ConfigError
from pointrend.inference.instances import InstanceSegmenter
from pointrend.modeling.one_stage.network import OneStage
from pointrend.modeling.preprocess import resize, to_input
from pointrend.serving.archive import build
from pointrend.structures.options import Options
from pointrend.weights.folder import ModelFolder

FAST = (OPENVINO, OPENVINO_INT8, BF16)
# Of an output's own size, by their norms; random weights round worse than trained ones.
MOST_OFF = {OPENVINO: 1e-3, OPENVINO_INT8: 0.5, BF16: 0.1}
PHOTO = Path(__file__).parents[1] / "demo" / "coffee.png"


@cache
def opened(folder: Path, engine: str) -> InstanceSegmenter:
    segmenter = pointrend.load(folder, engine=engine)
    assert isinstance(segmenter, InstanceSegmenter)
    return segmenter


@pytest.fixture(scope="module")
def photo() -> NDArray[np.uint8]:
    return np.asarray(Image.open(PHOTO).convert("RGB"))


def outputs(segmenter: InstanceSegmenter, image: NDArray[np.uint8]) -> list[torch.Tensor]:
    """All that the dense parts give for an image, for three regions, and for none."""
    network = segmenter.model
    images, _ = to_input(resize(image, network.config), network.config)
    with torch.inference_mode():
        features, predictions = network.trunk(images)
        given = [*features.values(), *predictions]
        for count in (3, 0):
            regions, classes = boxes(3, 128, 128)[:count], torch.arange(3)[:count]
            given += [network.mask_logits(features, regions, classes, refinement) for refinement in range(5)]
            given.append(network.constant_mask_logits(features, regions, classes))
    return given


@pytest.mark.parametrize("engine", FAST)
def test_every_part_gives_about_what_eager_gives(
    one_stage_folder: ModelFolder, photo: NDArray[np.uint8], engine: str
) -> None:
    expected = outputs(opened(one_stage_folder.path, EAGER), photo)
    answered = outputs(opened(one_stage_folder.path, engine), photo)
    for index, (one, other) in enumerate(zip(expected, answered, strict=True)):
        assert one.shape == other.shape
        off = float((one - other).norm() / one.norm().clamp(min=1e-6))
        # Points are chosen anew in each engine: where they differ, so does the mask at them.
        assert off < (MOST_OFF[engine] if index < 8 else 0.5), index


@pytest.mark.parametrize(
    "options",
    [
        Options(score_threshold=0.2),
        Options(score_threshold=0.2, exact=True, masks="polygon"),
        Options(score_threshold=0.2, refinement=1, points=True),
        Options(score_threshold=0.2, refinement=0),
        Options(score_threshold=0.2, mask_head="conv"),
        Options(score_threshold=0.2, zoom=True),
        Options(score_threshold=0.2, task="detection", categories=("box",)),
        Options(score_threshold=0.2, task="semantic"),
        Options(score_threshold=1.0),
    ],
)
@pytest.mark.parametrize("engine", FAST)
def test_every_option_is_answered_in_eagers_form(
    one_stage_folder: ModelFolder, photo: NDArray[np.uint8], engine: str, options: Options
) -> None:
    eager, fast = opened(one_stage_folder.path, EAGER), opened(one_stage_folder.path, engine)
    expected, answered = eager(photo, options), fast(photo, options)
    assert fast.engine == engine
    assert (answered.width, answered.height, answered.task) == (expected.width, expected.height, expected.task)
    assert bool(answered.instances) is bool(expected.instances)
    assert bool(answered.segments) is bool(expected.segments)
    if expected.instances:
        assert set(answered.instances[0].to_dict()) == set(expected.instances[0].to_dict())
    if engine == OPENVINO:
        assert [each.category for each in answered.instances] == [each.category for each in expected.instances]
        for ours, eagers in zip(answered.instances, expected.instances, strict=True):
            assert ours.score == pytest.approx(eagers.score, abs=1e-3)
            assert ours.bbox == pytest.approx(eagers.bbox, abs=1)


@pytest.mark.parametrize("engine", FAST)
def test_a_prediction_is_not_changed_by_the_next_one(one_stage_folder: ModelFolder, engine: str) -> None:
    trunk = opened(one_stage_folder.path, engine).model.trunk
    first, second = (torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    with torch.inference_mode():
        features, predictions = trunk(first)
        kept = [each.clone() for each in (*features.values(), *predictions)]
        trunk(second)
    assert all(map(torch.equal, kept, (*features.values(), *predictions)))
    assert features["p2"].is_contiguous(memory_format=torch.channels_last)


def test_an_engines_network_lets_go_of_what_it_replaced(one_stage_folder: ModelFolder) -> None:
    model = opened(one_stage_folder.path, BF16).model
    assert {name.split(".")[0] for name in model.state_dict()} == {"mask_head", "conv_mask_head"}


@pytest.mark.parametrize("keep_aspect", [False, True])
def test_the_trunk_is_for_the_size_that_the_network_takes(keep_aspect: bool, one_stage_folder: ModelFolder) -> None:
    network = one_stage_folder.network
    assert isinstance(network, OneStageConfig)
    config = replace(network, min_size=100, max_size=200, keep_aspect=keep_aspect)
    side = -1 if keep_aspect else 128  # a multiple of 32
    assert parts(OneStage(config))[0].inputs == ((1, 3, side, side),)


def test_detectron2_refuses_it_by_name(one_stage_folder: ModelFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pointrend.engines.find_spec", lambda _: "found")
    with pytest.raises(ConfigError, match=r"engine: detectron2 does not support one-stage models \(MODEL\.META_ARCH"):
        pointrend.load(one_stage_folder.path, engine=DETECTRON2)


@pytest.mark.parametrize("int8_products", [True, False])
@pytest.mark.parametrize("quantised", [True, False])
@pytest.mark.parametrize(("installed", "chosen"), [(("openvino",), OPENVINO), (("nncf",), EAGER)])
def test_auto_is_openvino_where_that_is_installed(
    one_stage_folder: ModelFolder,
    installed: tuple[str, ...],
    chosen: str,
    quantised: bool,
    int8_products: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pointrend.engines.find_spec", lambda name: name if name in installed else None)
    monkeypatch.setattr("pointrend.engines.has_int8_products", lambda: int8_products)
    assert resolve(AUTO, one_stage_folder.network, quantised=quantised) == chosen


def test_an_archive_for_auto_holds_the_files_of_openvino(one_stage_folder: ModelFolder, tmp_path: Path) -> None:
    archive = build(one_stage_folder, tmp_path, engine=AUTO)
    with zipfile.ZipFile(archive) as file:
        assert f"model/{OPENVINO}/trunk.xml" in file.namelist()
        assert not [name for name in file.namelist() if OPENVINO_INT8 in name]
        assert b"engine: auto" in file.read("model-config.yaml")


def test_every_engine_but_detectron2_takes_it(one_stage_folder: ModelFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pointrend.engines.find_spec", lambda _: "found")
    for engine in (*EXPORTED, BF16):
        assert resolve(engine, one_stage_folder.network) == engine
