"""Sizes of images that are compiled ahead."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pointrend
from benchmarks.losses import matched
from pointrend.engines import OPENVINO_INT8, image_sizes, openvino
from pointrend.engines.image_sizes import expected_inputs
from pointrend.errors import ConfigError
from pointrend.structures.options import Options
from pointrend.weights import zoo
from tests.demo_models import SMALL_RCNN

CAT = Path(__file__).parents[1] / "demo" / "chelsea.png"
CONFIG = zoo.find("coco-r50-3x").config


def test_sizes_are_those_at_which_images_enter_the_network() -> None:
    assert expected_inputs(CONFIG, "") == ()
    assert expected_inputs(CONFIG, "640x480") == ((800, 1088),)
    assert expected_inputs(CONFIG, "480x640, 640x480 1280x960") == ((1088, 800), (800, 1088))


@pytest.mark.parametrize("value", ["640", "640x", "0x480", "640x480x3", "99999x1", "640*480"])
def test_what_is_no_size_is_named(value: str) -> None:
    with pytest.raises(ConfigError, match=r"POINTREND_SIZES: .* is not the size of an image\. Give WIDTHxHEIGHT"):
        expected_inputs(CONFIG, f"640x480 {value}")


def test_more_sizes_than_the_limit_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"POINTREND_SIZES: 9 sizes are given; the limit is 8\."):
        expected_inputs(CONFIG, " ".join(["640x480"] * (image_sizes.MOST_SIZES + 1)))


def test_a_size_that_was_compiled_ahead_gives_the_same_detections(monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.asarray(Image.open(CAT).convert("RGB"))
    turned = np.ascontiguousarray(image.transpose(1, 0, 2))
    anyway = pointrend.load(SMALL_RCNN, engine=OPENVINO_INT8)
    compiled: list[openvino.Compiled] = []
    create = openvino.Compiled.__init__

    def noted(self: openvino.Compiled, *arguments: object) -> None:
        compiled.append(self)
        create(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(openvino.Compiled, "__init__", noted)
    monkeypatch.setenv("POINTREND_SIZES", f"{image.shape[1]}x{image.shape[0]}")
    ahead = pointrend.load(SMALL_RCNN, engine=OPENVINO_INT8)
    assert [len(each.sizes) for each in compiled] == [1, 0, 0, 0, 0]
    for each in (image, turned):
        expected = anyway(each, Options(score_threshold=0.5)).instances
        answered = ahead(each, Options(score_threshold=0.4)).instances
        assert expected
        assert all(matched(expected, answered))


def test_a_wrong_value_is_said_when_a_model_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTREND_SIZES", "large")
    with pytest.raises(ConfigError, match="POINTREND_SIZES: 'large' is not the size of an image"):
        pointrend.load(SMALL_RCNN, engine=OPENVINO_INT8)
