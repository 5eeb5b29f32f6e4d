"""Choosing an engine: by name, for a model, an archive, a server."""

from __future__ import annotations

import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from typer.testing import CliRunner

import pointrend
from handler.config import HandlerConfig
from handler.pointrend_handler import PointRendHandler
from pointrend.cli.main import app
from pointrend.config.files import config_from_dict, read_config
from pointrend.engines import AUTO, NAMES, require, require_fit, resolve
from pointrend.errors import ConfigError
from pointrend.images.limits import ImageLimits
from pointrend.service.description import describe
from pointrend.serving.archive import build
from pointrend.weights import zoo
from pointrend.weights.folder import ModelFolder
from tests.demo_models import SMALL_RCNN

GOLDEN = Path(__file__).parents[1] / "golden"
DEMO = Path(__file__).parents[1] / "demo"


def test_plain_pytorch_is_the_engine_of_old() -> None:
    segmenter = pointrend.load("demo", engine="eager")
    assert segmenter.engine == "eager"
    assert describe(segmenter, ImageLimits(), 1)["engine"] == "eager"


def test_an_unknown_engine_is_answered_with_a_near_one() -> None:
    with pytest.raises(
        ConfigError, match=r"There is no engine 'detectron'. Did you mean 'detectron2'\? Known: eager, "
    ):
        pointrend.load("demo", engine="detectron")
    require("eager")


def test_a_semantic_network_runs_with_all_but_cuda() -> None:
    semantic = read_config(GOLDEN / "semantic_cityscapes19_landscape" / "config.yaml")
    for name in NAMES:
        if name != "cuda":
            require_fit(name, semantic)
    with pytest.raises(ConfigError, match="engine: cuda supports instance models only, and this one is semantic"):
        require_fit("cuda", semantic)


def test_heads_cannot_be_judged_with_an_engine_that_has_only_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pointrend.engines.find_spec", lambda _: "found")
    refused = CliRunner().invoke(app, ["eval", "--data", "nowhere", "--engine", "detectron2"])
    assert str(refused.exception) == "engine: detectron2 does not provide the mask heads that are evaluated."


def test_a_network_that_the_engine_has_not_is_refused() -> None:
    for name in NAMES:
        require_fit(name, zoo.find("coco-r50-3x").config)
    for model, lacking in ((SMALL_RCNN, "EfficientNet-Lite"), ("demo", "one-stage models")):
        network = ModelFolder.open(model).network
        require_fit("eager", network)
        with pytest.raises(ConfigError, match=rf"does not support .*{lacking} .* Choose the engine eager"):
            require_fit("detectron2", network)


@pytest.mark.parametrize(
    ("installed", "quantised", "chosen"),
    [
        (("openvino", "nncf"), False, "openvino-int8"),
        (("openvino",), True, "openvino-int8"),
        (("openvino",), False, "eager"),
        (("nncf",), True, "eager"),
        ((), False, "eager"),
    ],
)
def test_auto_is_int8_where_that_can_be_had(
    installed: tuple[str, ...], quantised: bool, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pointrend.engines.find_spec", lambda name: name if name in installed else None)
    monkeypatch.setattr("pointrend.engines.has_int8_products", lambda: True)
    assert resolve(AUTO, ModelFolder.open(SMALL_RCNN).network, quantised=quantised) == chosen


def test_auto_is_eager_on_a_processor_where_int8_is_less_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pointrend.engines.has_int8_products", lambda: False)
    network = ModelFolder.open(SMALL_RCNN).network
    assert resolve(AUTO, network, quantised=True) == "eager"
    assert resolve("openvino-int8", network) == "openvino-int8"


def test_auto_is_eager_for_a_semantic_network() -> None:
    semantic = read_config(GOLDEN / "semantic_cityscapes19_landscape" / "config.yaml")
    assert resolve(AUTO, semantic) == resolve(AUTO, semantic, quantised=True) == "eager"


def test_an_engine_that_is_named_is_that_one_or_an_error() -> None:
    demo = ModelFolder.open("demo").network
    assert resolve("bf16", demo) == "bf16"
    with pytest.raises(ConfigError, match="There is no engine 'fastest'"):
        resolve("fastest", demo)


def test_an_archive_for_auto_runs_with_openvino_and_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What builds an archive need not be what runs it.
    monkeypatch.setattr("pointrend.engines.has_int8_products", lambda: False)
    archive = build(ModelFolder.open(SMALL_RCNN), tmp_path, engine=AUTO)
    with zipfile.ZipFile(archive) as content:
        content.extractall(tmp_path / "unpacked")
    settings = yaml.safe_load((tmp_path / "unpacked" / "model-config.yaml").read_text())
    assert settings["handler"]["engine"] == AUTO
    model = tmp_path / "unpacked" / "model"
    assert pointrend.load(model, engine=AUTO).engine == "eager"
    monkeypatch.setattr("pointrend.engines.has_int8_products", lambda: True)
    assert pointrend.load(model, engine=AUTO).engine == "openvino-int8"
    monkeypatch.setattr("pointrend.engines.find_spec", lambda _: None)
    assert pointrend.load(model, engine=AUTO).engine == "eager"


def test_an_archive_for_auto_is_a_plain_one_where_nothing_can_be_quantised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pointrend.engines.find_spec", lambda _: None)
    with zipfile.ZipFile(build(ModelFolder.open(SMALL_RCNN), tmp_path, engine=AUTO)) as content:
        assert "engine" not in yaml.safe_load(content.read("model-config.yaml"))["handler"]
        assert not any("openvino" in name for name in content.namelist() if name.startswith("model/"))


@pytest.mark.parametrize("engine", NAMES)
def test_an_archive_says_its_engine(engine: str, tmp_path: Path) -> None:
    archive = build(ModelFolder.open("demo"), tmp_path, engine=engine)
    with zipfile.ZipFile(archive) as content:
        settings = yaml.safe_load(content.read("model-config.yaml"))
        model = yaml.safe_load(content.read("model/config.yaml"))
    assert HandlerConfig.read(settings["handler"]).engine == engine
    assert config_from_dict(model) == ModelFolder.open("demo").network


@pytest.mark.parametrize(
    "command", ["up", "archive", "eval --data nowhere", f"predict {DEMO} --out nowhere", "batch nowhere nowhere"]
)
def test_the_command_line_refuses_what_is_no_engine(command: str) -> None:
    refused = CliRunner().invoke(app, [*command.split(), "--engine", "detectron"])
    assert isinstance(refused.exception, ConfigError)
    assert "There is no engine 'detectron'" in str(refused.exception)


def test_no_archive_is_built_of_what_could_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pointrend.engines.find_spec", lambda _: "found")
    refused = CliRunner().invoke(app, ["archive", "--engine", "detectron2", "--destination", str(tmp_path)])
    assert "does not support one-stage models" in str(refused.exception)
    assert list(tmp_path.iterdir()) == []


def test_the_handler_asks_for_the_engine_that_is_set(tmp_path: Path) -> None:
    (tmp_path / "model").symlink_to(ModelFolder.open("demo").path)
    context = SimpleNamespace(
        model_yaml_config={"handler": {"engine": "detectron"}}, system_properties={"model_dir": str(tmp_path)}
    )
    with pytest.raises(ConfigError, match="There is no engine 'detectron'"):
        PointRendHandler().initialize(context)
