"""Mask R-CNN beside PointRend in one server: each answers under its own name, with its own categories and options."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pointrend
from pointrend.client import Client
from pointrend.errors import InvalidOption
from pointrend.serving.archive import ArchiveError, build
from pointrend.serving.torchserve import Ports, TorchServe
from pointrend.structures.options import Options
from pointrend.weights import zoo
from pointrend.weights.convert import convert
from pointrend.weights.folder import ModelFolder
from tests.ports import free_ports

GOLDEN = Path(__file__).parents[1] / "golden"
CASE = GOLDEN / "maskrcnn_coco80_landscape"
NAME = "coco-mask-rcnn-r50-3x"


@pytest.fixture(scope="module")
def mask_rcnn(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    """The published Mask R-CNN's structure, narrow."""
    folder = tmp_path_factory.mktemp("models") / NAME
    return convert(CASE / "model_final.pkl", CASE / "config.yaml", folder, zoo.find(NAME).info)


@pytest.mark.server
def test_each_model_answers_under_its_name(mask_rcnn: ModelFolder, tmp_path: Path) -> None:
    store = tmp_path / "store"
    build(ModelFolder.open("demo"), store)
    assert build(mask_rcnn, store, NAME).name == f"{NAME}.mar"
    photo = np.asarray(Image.open(GOLDEN / "images" / "coffee_600x400.png").convert("RGB"))
    with TorchServe(store, Ports(*free_ports(6)), models=("pointrend", NAME)) as server:
        server.wait_ready()
        demo, other = Client(server.url), Client(server.url, model=NAME)
        assert demo.describe()["name"] == "pointrend-demo"
        assert other.describe()["name"] == NAME
        assert demo.describe()["categories"][5] == {"id": 6, "name": "bus"}
        assert not other.describe()["refines_points"]

        answered = other.segment(photo, score_threshold=0.3)
        own = pointrend.load(mask_rcnn.path)(photo, Options(score_threshold=0.3))
        assert len(answered.instances) > 10
        assert [each.category for each in answered.instances] == [each.category for each in own.instances]
        for ours, served in zip(own.instances, answered.instances, strict=True):
            assert np.allclose(ours.bbox, served.bbox, atol=0.1)
            assert (ours.mask() != served.mask()).sum() <= 0.01 * ours.mask().sum() + 5
        assert demo.segment(photo).model["name"] == "pointrend-demo"
        with pytest.raises(InvalidOption, match="one resolution"):
            other.segment(photo, refinement=2)


@pytest.mark.parametrize("name", ["", "../evil", "a b", ".hidden", "a/b", "-x"])
def test_a_name_that_is_none_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="cannot be served as"):
        build(ModelFolder.open("demo"), tmp_path, name)
