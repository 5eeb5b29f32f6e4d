"""A semantic model through the front door: the golden photo's segments, refusals, pictures, and a real server."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pointrend
from pointrend.client import Client
from pointrend.config.schema import SemanticConfig
from pointrend.errors import ConfigError, InvalidOption
from pointrend.inference.semantic import SemanticSegmenter
from pointrend.serving.archive import build
from pointrend.serving.torchserve import Ports, TorchServe
from pointrend.structures.options import Options
from pointrend.visualize.label_map import encode_label_map, label_map, legend
from pointrend.visualize.overlay import overlay
from pointrend.visualize.palettes import CITYSCAPES, category_colour, colour
from pointrend.weights import zoo
from pointrend.weights.convert import convert
from pointrend.weights.folder import ModelFolder
from tests.ports import free_ports
from tests.semantic_models import write_tiny

GOLDEN = Path(__file__).parents[1] / "golden"
CASE = GOLDEN / "semantic_cityscapes19_landscape"
SEMANTIC = Options(task="semantic")


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return np.asarray(Image.open(GOLDEN / "images" / "coffee_600x400.png").convert("RGB"))


@pytest.fixture(scope="module")
def golden_folder(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    info = zoo.find("cityscapes-semantic-r101-1x").info
    return convert(CASE / "model_final.pkl", CASE / "config.yaml", tmp_path_factory.mktemp("models") / "golden", info)


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def tiny(tiny_folder: Path) -> SemanticSegmenter:
    segmenter = pointrend.load(tiny_folder)
    assert isinstance(segmenter, SemanticSegmenter)
    return segmenter


def test_the_golden_photo(golden_folder: ModelFolder, photo: np.ndarray) -> None:
    prediction = pointrend.load(golden_folder.path)(photo, SEMANTIC)
    with np.load(CASE / "arrays.npz") as arrays:
        wanted = arrays["final_argmax"]
    ids = np.array([category.id for category in golden_folder.info.categories])
    assert (label_map(prediction) == ids[wanted]).mean() >= 0.999
    assert sum(segment.area for segment in prediction.segments) == photo.shape[0] * photo.shape[1]
    areas = [segment.area for segment in prediction.segments]
    assert areas == sorted(areas, reverse=True)


def test_a_folder_of_a_semantic_model_cannot_stand_for_one_of_instances(golden_folder: ModelFolder) -> None:
    assert isinstance(golden_folder.network, SemanticConfig)
    with pytest.raises(ConfigError, match="is a semantic model; an instance model is needed"):
        _ = golden_folder.config


def test_categories_and_masks_are_heeded(tiny: SemanticSegmenter, photo: np.ndarray) -> None:
    everything = tiny(photo)
    assert everything.task == "semantic"
    assert len(everything.segments) > 1
    best = everything.segments[0]
    only = tiny(photo, replace(SEMANTIC, categories=(best.category,), masks="none"))
    assert [(segment.category, segment.area) for segment in only.segments] == [(best.category, best.area)]
    assert only.segments[0].segmentation is None


def test_less_refinement_is_coarser(tiny: SemanticSegmenter, photo: np.ndarray) -> None:
    maps = [label_map(tiny(photo, replace(SEMANTIC, refinement=steps))) for steps in (0, 1, 2, 4)]
    assert [np.mean(each != maps[-1]) > 0 for each in maps] == [True, True, False, False]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (Options(), "task"),
        (Options(task="detection"), "task"),
        (Options(task="semantic", mask_head="conv"), "mask_head"),
        (Options(task="semantic", categories=("zebra",)), "categories"),
    ],
)
def test_what_it_cannot_do_is_refused(tiny: SemanticSegmenter, photo: np.ndarray, options: Options, field: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        tiny(photo, options)
    assert caught.value.field == field


def test_grey_is_no_photo(tiny: SemanticSegmenter) -> None:
    with pytest.raises(TypeError, match="HWC uint8 RGB"):
        tiny(np.zeros((4, 4), np.uint8))


def test_cityscapes_colours() -> None:
    categories = zoo.find("cityscapes-semantic-r101-1x").categories
    assert set(CITYSCAPES) == {(category.id, category.name) for category in categories}
    assert category_colour(7, "road") == (128, 64, 128)
    assert category_colour(7, "train") == colour(7)  # COCO's
    assert not {(category.id, category.name) for category in zoo.find("coco-r50-3x").categories} & set(CITYSCAPES)


def test_pictures_have_the_palette(tiny: SemanticSegmenter, photo: np.ndarray) -> None:
    prediction = tiny(photo)
    picture = Image.open(io.BytesIO(encode_label_map(prediction)))
    painted = np.asarray(picture.convert("RGB"))
    drawn = overlay(photo, prediction, opacity=1.0)
    for segment in prediction.segments:
        wanted = CITYSCAPES[segment.category_id, segment.category]
        assert (painted[segment.mask()] == wanted).all()
    assert legend(prediction)[prediction.segments[0].category_id] == prediction.segments[0].category
    assert (drawn == painted).all(axis=2).mean() > 0.5  # the rest is under labels


@pytest.mark.server
def test_it_is_served(tiny_folder: Path, tiny: SemanticSegmenter, photo: np.ndarray, tmp_path: Path) -> None:
    archive = build(ModelFolder.open(tiny_folder), tmp_path / "store")
    with TorchServe(archive.parent, Ports(*free_ports(6))) as server:
        server.wait_ready()
        client = Client(server.url)
        assert client.describe()["tasks"] == {"semantic": ["json", "png", "label_map"]}
        answered = client.segment(photo, task="semantic")
        assert [each.to_dict() for each in answered.segments] == [each.to_dict() for each in tiny(photo).segments]
        assert (client.label_map(photo, task="semantic") == label_map(tiny(photo))).all()
        with pytest.raises(InvalidOption, match="send task=semantic, not task=instances"):
            client.segment(photo)
