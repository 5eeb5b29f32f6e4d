from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pointrend.config.files import config_from_dict, config_to_dict
from pointrend.config.schema import EfficientNetConfig, ModelConfig, OneStageConfig
from pointrend.errors import ConfigError
from pointrend.training.config import TrainingConfig
from pointrend.training.run import RECIPES


def write(folder: Path, config: ModelConfig, **keys: object) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({"name": "tiny", "model": config_to_dict(config), **keys}), encoding="utf-8")
    return path


def test_the_small_rcnns_recipe_reads_and_round_trips() -> None:
    settings = TrainingConfig.from_file(RECIPES / "small-rcnn.yaml")
    assert isinstance(settings.model, ModelConfig)
    assert settings.model.trunk == EfficientNetConfig(variant=1)
    assert settings.model.num_classes == len(settings.categories) == 17
    assert settings.model.conv_mask is not None
    assert config_from_dict(config_to_dict(settings.model)) == settings.model
    assert settings.steps.points == 196


def test_the_longer_recipe_goes_on_with_the_same_network_and_categories() -> None:
    first = TrainingConfig.from_file(RECIPES / "small-rcnn.yaml")
    longer = TrainingConfig.from_file(RECIPES / "small-rcnn-longer.yaml")
    assert longer.init == "first/model"
    assert longer.categories == first.categories
    assert longer.model == first.model
    assert longer.sources["coco-street"] > 1 > longer.sources["clothing-co-parsing"]


def test_the_model_may_be_a_file_beside_the_recipe(tmp_path: Path, tiny_config: ModelConfig) -> None:
    (tmp_path / "net.yaml").write_text(yaml.safe_dump(config_to_dict(tiny_config)), encoding="utf-8")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("name: tiny\nmodel: net.yaml\ncrop: 128\njitter: [1, 2]\n", encoding="utf-8")
    settings = TrainingConfig.from_file(recipe)
    assert settings.model == tiny_config
    assert (settings.crop, settings.jitter) == ((128,), (1.0, 2.0))
    assert settings.for_classes(5).model.num_classes == 5


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"learning_rate": 1}, "no key 'learning_rate'; known are .*rate"),
        ({"rate": -1}, "rate must be a number from 0 to 1, not -1"),
        ({"rate": True}, "rate must be a number"),
        ({"batch": 2.5}, "batch must be a whole number from 1 to 1024, not 2.5"),
        ({"crop": 100}, "crop must be a multiple of 32 from 64 to 4096, or several, not 100"),
        ({"crop": [128, 100]}, r"crop must be a multiple of 32 from 64 to 4096, or several, not \[128, 100\]"),
        ({"crop": []}, "crop must be a multiple of 32"),
        ({"schedule": "linear"}, "schedule must be cosine or constant, not 'linear'"),
        ({"without": "zoo"}, "without must be a list of sources, not 'zoo'"),
        ({"teacher": "x.pt"}, "teacher is for a one-stage model"),
        ({"teacher_weight": 2.0}, "teacher_weight needs a teacher"),
        ({"teacher_weight": -1}, "teacher_weight must be a number from 0 to 1000, not -1"),
        ({"jitter": [2, 1]}, "jitter must be two numbers"),
        ({"categories": ["person"]}, "categories must be a list of ids"),
        ({"frozen": ["res9"]}, "frozen must be a list of stem, res2"),
        ({"init": 5}, "init must be text, not 5"),
        ({"steps": {"anchor": 5}}, "steps must be a mapping of anchors"),
        ({"steps": {"anchors": 0}}, "steps.anchors must be a whole number"),
    ],
)
def test_what_a_recipe_cannot_say(
    tmp_path: Path, tiny_config: ModelConfig, keys: dict[str, object], message: str
) -> None:
    path = write(tmp_path, tiny_config, **keys)
    with pytest.raises(ConfigError, match=message) as raised:
        TrainingConfig.from_file(path)
    assert str(path) in str(raised.value)


def test_a_semantic_network_is_not_trained(tmp_path: Path, tiny_config: ModelConfig) -> None:
    config = Path(__file__).parents[1] / "golden" / "semantic_cityscapes19_landscape" / "config.yaml"
    path = write(tmp_path, tiny_config, model=str(config))
    with pytest.raises(ConfigError, match=r"a semantic network .* can be served, but not trained"):
        TrainingConfig.from_file(path)


def test_files_that_are_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        TrainingConfig.from_file(tmp_path / "none.yaml")
    path = tmp_path / "bad.yaml"
    path.write_text("name: [", encoding="utf-8")
    with pytest.raises(ConfigError, match="is not YAML"):
        TrainingConfig.from_file(path)
    path.write_text("- a", encoding="utf-8")
    with pytest.raises(ConfigError, match="a mapping of keys to values, not a list"):
        TrainingConfig.from_file(path)
    path.write_text("name: x", encoding="utf-8")
    with pytest.raises(ConfigError, match="the key 'model' is missing"):
        TrainingConfig.from_file(path)


def test_the_one_stage_recipes_share_a_network_and_data() -> None:
    masks = TrainingConfig.from_file(RECIPES / "one-stage-masks.yaml")
    whole = TrainingConfig.from_file(RECIPES / "one-stage.yaml")
    assert isinstance(masks.model, OneStageConfig)
    assert (masks.model, masks.sources, masks.without) == (whole.model, whole.sources, whole.without)
    assert set(masks.without) == {"msrc-v2", "weizmann-horse", "penn-fudan"}
    assert (masks.frozen, masks.teacher) == (("detector",), "")
    assert (whole.frozen, whole.teacher, whole.teacher_weight) == ((), whole.init, 4.0)
    assert len(masks.crop) > 1
