"""``model-config.yaml``: the handler's settings, and what is wrong with them."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from handler.config import MODEL_CONFIG, HandlerConfig, ModelConfig
from pointrend.errors import ConfigError
from pointrend.images.limits import ImageLimits


def test_settings_are_optional() -> None:
    assert HandlerConfig.read(None) == HandlerConfig.read({}) == ModelConfig.read().handler == HandlerConfig()
    assert HandlerConfig().image_limits == ImageLimits()


def test_settings_are_taken() -> None:
    config = HandlerConfig.read({"engine": "bf16", "threads": 2, "max_image_side": 1000})
    assert (config.engine, config.threads) == ("bf16", 2)
    assert config.image_limits.max_side == 1000


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"max_image_bytes": "20 MiB"}, r"handler\.max_image_bytes is '20 MiB'; it must be a whole number"),
        ({"max_image_pixels": True}, r"handler\.max_image_pixels is True"),
        ({"max_image_side": None}, r"handler\.max_image_side is None"),
        ({"threads": 0}, r"handler\.threads is 0; .* at least 1"),
        ({"engine": 8}, r"handler\.engine is 8; it must be an engine's name"),
        ({"max_bytes": 1}, r"handler\.max_bytes is not a setting of the handler\. Known: engine, max_image_bytes"),
        (["engine"], r"handler is \['engine'\]"),
    ],
)
def test_the_key_of_a_wrong_setting_is_named(tree: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        HandlerConfig.read(tree)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("responseTimeout: 120", "", r"responseTimeout is None"),
        ("handler: {}", "handler: {threads: no}", r"handler\.threads is False"),
        ("handler: {}", "handler: {", "model-config"),
    ],
)
def test_the_file_of_a_wrong_setting_is_named(before: str, after: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "model-config.yaml"
    path.write_text(MODEL_CONFIG.read_text().replace(before, after))
    with pytest.raises(ConfigError, match=message) as caught:
        ModelConfig.read(path)
    assert str(path) in str(caught.value)


def test_each_setting_has_its_documentation() -> None:
    assert all(each.metadata["help"].endswith(".") for each in fields(HandlerConfig))
