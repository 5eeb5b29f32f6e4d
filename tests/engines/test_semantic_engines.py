"""What every engine of semantic models promises: eager's classes, but for a few pixels."""

from __future__ import annotations

import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

import pointrend
from pointrend.engines import BF16, CUDA, EAGER, OPENVINO, OPENVINO_INT8, export, half, store
from pointrend.engines.agreement import check_classes
from pointrend.engines.network import open_network
from pointrend.engines.parts import parts
from pointrend.errors import ConfigError, InaccurateExport
from pointrend.images.limits import ImageLimits
from pointrend.inference.semantic import SemanticSegmenter
from pointrend.modeling.semantic import SemanticPointRend
from pointrend.service.description import describe
from pointrend.serving.archive import build
from pointrend.structures.options import Options
from pointrend.visualize.label_map import label_map
from pointrend.weights.folder import ModelFolder
from tests.semantic_models import write_tiny

PHOTO = Path(__file__).parents[1] / "golden" / "images" / "coffee_600x400.png"
FAST = (BF16, OPENVINO, OPENVINO_INT8)
# Of a photo's pixels, with random weights: they leave more pixels undecided than trained ones.
AGREE = {BF16: 0.98, OPENVINO: 0.9999, OPENVINO_INT8: 0.95}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("tiny"))


@cache
def opened(folder: Path, engine: str) -> SemanticSegmenter:
    segmenter = pointrend.load(folder, engine=engine)
    assert isinstance(segmenter, SemanticSegmenter)
    return segmenter


@cache
def photo() -> NDArray[np.uint8]:
    return np.asarray(Image.open(PHOTO).convert("RGB"))


@pytest.mark.parametrize("refinement", [0, 1, 4])
@pytest.mark.parametrize("engine", FAST)
def test_pixels_get_eagers_classes(folder: Path, engine: str, refinement: int) -> None:
    options = Options(task="semantic", refinement=refinement)
    expected = label_map(opened(folder, EAGER)(photo(), options))
    answered = label_map(opened(folder, engine)(photo(), options))
    assert len(np.unique(expected)) > 2
    assert (answered == expected).mean() >= AGREE[engine]


@pytest.mark.parametrize("engine", FAST)
def test_photos_of_any_size(folder: Path, engine: str) -> None:
    for height, width in ((1, 1), (30, 400), (333, 211)):
        answered = opened(folder, engine)(np.full((height, width, 3), 128, dtype=np.uint8), Options(task="semantic"))
        assert (answered.height, answered.width) == (height, width)
        assert sum(segment.area for segment in answered.segments) == height * width


@pytest.mark.parametrize("engine", FAST)
def test_the_engine_is_told(folder: Path, engine: str) -> None:
    assert opened(folder, engine).engine == engine
    assert describe(opened(folder, engine), ImageLimits(), 1)["engine"] == engine


@pytest.mark.parametrize("engine", FAST)
def test_the_trunk_has_eagers_shapes_and_layout(folder: Path, engine: str) -> None:
    images = torch.rand(1, 3, 96, 160)
    with torch.inference_mode():
        maps = [network(folder, each).trunk(images) for each in (EAGER, engine)]
    (features, coarse), (fast_features, fast_coarse) = maps
    assert (fast_features.shape, fast_coarse.shape) == (features.shape, coarse.shape)
    assert fast_features.is_contiguous(memory_format=torch.channels_last)
    assert fast_coarse.is_contiguous()


def network(folder: Path, engine: str) -> SemanticPointRend:
    own = opened(folder, engine).model
    assert isinstance(own, SemanticPointRend)
    return own


def test_only_answers_stay_float32(folder: Path) -> None:
    own = open_network(ModelFolder.open(folder))
    trunk, points = (half.converted(part, torch.bfloat16) for part in parts(own))
    wide = {name for name, value in trunk.named_parameters() if value.dtype == torch.float32}
    assert wide == {"coarse_head.predictor.weight", "coarse_head.predictor.bias"}
    kept = {name for name, value in points.named_parameters() if value.dtype == torch.bfloat16}
    assert {"head.fc1.weight", "head.fc3.bias"} <= kept


def test_a_part_is_one_file_and_its_weights(folder: Path) -> None:
    for engine, names in ((OPENVINO, ["trunk"]), (OPENVINO_INT8, ["points", "trunk"])):
        files = export.prepare(ModelFolder.open(folder), engine)
        assert sorted(path.stem for path in files.glob("*.bin")) == names
        assert ("FakeQuantize" in (files / "trunk.xml").read_text()) == (engine == OPENVINO_INT8)


def test_an_archive_brings_the_files(folder: Path, tmp_path: Path) -> None:
    ready = export.prepare(ModelFolder.open(folder), OPENVINO_INT8)
    archive = build(ModelFolder.open(folder), tmp_path, engine=OPENVINO_INT8)
    with zipfile.ZipFile(archive) as content:
        packed = {Path(name).name for name in content.namelist() if name.startswith(f"model/{OPENVINO_INT8}/")}
    assert packed == {path.name for path in ready.iterdir()}
    assert store.STAMP in packed


def test_a_gpu_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"engine: cuda supports instance models only.* openvino-int8, bf16 or eager"):
        pointrend.load(folder, engine=CUDA)


def test_parts_that_change_too_many_classes_are_refused(folder: Path) -> None:
    own = open_network(ModelFolder.open(folder))
    assert isinstance(own, SemanticPointRend)
    trunk, points = parts(own)

    def other_classes(images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        features, coarse = trunk(images)
        return features, coarse.roll(1, dims=1)

    check_classes(own, [trunk, points], [trunk, points], [PHOTO])
    with pytest.raises(
        InaccurateExport,
        match=r"only \d+\.\d% of the pixels of 1 photos would keep their classes; the limit is 90%\. "
        r"Choose the engine eager or bf16, or calibrate",
    ):
        check_classes(own, [trunk, points], [other_classes, points], [PHOTO])
