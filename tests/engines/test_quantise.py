"""Quantising a model: once, for exactly its weights, on photos that are there; and what goes into an archive."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner, Result

import pointrend
from handler.pointrend_handler import PointRendHandler
from pointrend.cli.main import app
from pointrend.datasets.coco import CocoFile
from pointrend.engines import OPENVINO_INT8, calibration, export, network, store
from pointrend.engines.part import Network, Part, Run
from pointrend.errors import ConfigError, InaccurateExport
from pointrend.serving.archive import build
from pointrend.serving.served_model import pack
from pointrend.structures.model_info import Category, ModelInfo
from pointrend.structures.options import Options
from pointrend.weights.checkpoint import read_checkpoint, save_safetensors
from pointrend.weights.convert import convert
from pointrend.weights.folder import WEIGHTS, ModelFolder
from tests.demo_models import SMALL_RCNN

GOLDEN = Path(__file__).parents[1] / "golden" / "pointrend_coco80_landscape"
DEMO_PHOTOS = Path(__file__).parents[1] / "demo"


@pytest.fixture
def quantised() -> Path:
    """A small R-CNN's files, in the cache that these tests share."""
    return export.prepare(ModelFolder.open(SMALL_RCNN), OPENVINO_INT8)


@pytest.fixture
def never(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on nothing is quantised."""

    def refuse(*_: Any) -> None:
        raise AssertionError("quantised again")

    monkeypatch.setattr(export, "export", refuse)


def test_a_part_is_one_file_and_its_weights(quantised: Path) -> None:
    names = {path.name for path in quantised.iterdir()}
    parts = ("trunk", "boxes", "coarse", "points", "conv_mask")
    assert names == {f"{part}.{end}" for part in parts for end in ("xml", "bin")} | {store.STAMP}
    trunk = (quantised / "trunk.xml").read_text()
    assert 'shape="1,3,?,?"' in trunk
    assert "FakeQuantize" in trunk


def test_whoever_waits_is_told_for_what(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def quick(folder: ModelFolder, destination: Path, engine: str) -> None:
        destination.mkdir()
        store.stamp(destination, folder, images=1)

    monkeypatch.setenv("POINTREND_HOME", str(tmp_path))
    monkeypatch.setattr(export, "export", quick)
    for said in (["Quantising pointrend-rcnn, once: half a minute for a small model, minutes for a large one."], []):
        caplog.clear()
        export.prepare(ModelFolder.open(SMALL_RCNN), OPENVINO_INT8)
        assert [record.message for record in caplog.records if record.levelname == "WARNING"] == said


def test_what_was_quantised_before_is_taken_from_the_cache(
    quantised: Path, never: None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="pointrend.engines.export"):
        assert export.prepare(ModelFolder.open(SMALL_RCNN), OPENVINO_INT8) == quantised
    assert f"was exported before: {quantised}" in caplog.text


def test_the_model_folders_own_files_come_first(quantised: Path, never: None, tmp_path: Path) -> None:
    own = tmp_path / "model"
    shutil.copytree(ModelFolder.open(SMALL_RCNN).path, own)
    shutil.copytree(quantised, own / OPENVINO_INT8)
    assert export.prepare(ModelFolder.open(own), OPENVINO_INT8) == own / OPENVINO_INT8


@pytest.mark.parametrize("damage", ["weights", "version", "note"])
def test_files_of_other_weights_are_not_used(quantised: Path, tmp_path: Path, damage: str) -> None:
    own = tmp_path / "model"
    shutil.copytree(ModelFolder.open(SMALL_RCNN).path, own)
    shutil.copytree(quantised, own / OPENVINO_INT8)
    stamp = own / OPENVINO_INT8 / store.STAMP
    if damage == "weights":
        (own / WEIGHTS).write_bytes((own / WEIGHTS).read_bytes() + b" ")
        assert store.find(ModelFolder.open(own), OPENVINO_INT8) is None
        return
    note = json.loads(stamp.read_text())
    stamp.write_text("[]" if damage == "note" else json.dumps(note | {"version": 0}))
    assert store.find(ModelFolder.open(own), OPENVINO_INT8) == quantised


def test_files_that_cannot_be_read_are_named(quantised: Path, tmp_path: Path) -> None:
    own = tmp_path / "model"
    shutil.copytree(ModelFolder.open(SMALL_RCNN).path, own)
    shutil.copytree(quantised, own / OPENVINO_INT8)
    (own / OPENVINO_INT8 / "boxes.xml").write_text("<net")
    with pytest.raises(ConfigError, match=r"boxes\.xml: OpenVINO \S+ cannot run it"):
        pointrend.load(own, engine=OPENVINO_INT8)


def test_an_archive_brings_the_files_and_the_handler_uses_them(quantised: Path, never: None, tmp_path: Path) -> None:
    archive = build(ModelFolder.open(SMALL_RCNN), tmp_path, engine=OPENVINO_INT8)
    with zipfile.ZipFile(archive) as content:
        content.extractall(tmp_path / "worker", [each for each in content.namelist() if each.startswith("model/")])
    packed = tmp_path / "worker" / "model" / OPENVINO_INT8
    assert {path.name for path in packed.iterdir()} == {path.name for path in quantised.iterdir()}
    shutil.move(quantised, tmp_path / "away")  # a server's machine has no such cache
    try:
        handler = PointRendHandler()
        handler.initialize(
            SimpleNamespace(
                model_yaml_config={"handler": {"engine": OPENVINO_INT8}},
                system_properties={"model_dir": str(tmp_path / "worker")},
                model_name="pointrend",
                metrics=SimpleNamespace(add_metric_to_cache=lambda *_: None),
            )
        )
    finally:
        shutil.move(tmp_path / "away", quantised)
    cat = np.asarray(Image.open(DEMO_PHOTOS / "chelsea.png").convert("RGB"))
    assert handler._service.segmenter.engine == OPENVINO_INT8
    assert [each.category for each in handler._service.segmenter(cat, Options()).instances] == ["cat"]


def lost_in_int8(folder: Path) -> Path:
    """A model whose pyramid sees small differences of large values only, which int8 rounds away."""
    info = ModelInfo("shifted", "1", tuple(Category(number, f"thing {number}") for number in range(1, 81)))
    model = convert(GOLDEN / "model_final.pkl", GOLDEN / "config.yaml", folder, info)
    state = read_checkpoint(model.weights)
    last = max(key for key in state if key.startswith("backbone.bottom_up.res5.") and key.endswith("conv3.norm.bias"))
    state[last] = state[last] + 1e5
    lateral = state["backbone.fpn_lateral5.weight"]
    state["backbone.fpn_lateral5.weight"] = lateral - lateral.mean(1, keepdim=True)
    save_safetensors(state, model.weights)
    return folder


def test_auto_serves_a_model_that_int8_would_spoil_without_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = ModelFolder.open(lost_in_int8(tmp_path / "shifted"))
    archive = build(folder, tmp_path / "store", engine="auto")
    assert "engine: shifted could not be quantised: output " in caplog.text
    assert "the limit is 50.0%. Choose the engine eager. shifted is served with eager." in caplog.text
    with zipfile.ZipFile(archive) as file:
        assert not [name for name in file.namelist() if OPENVINO_INT8 in name]
        assert b"engine:" not in file.read("model-config.yaml")

    told = io.StringIO()
    monkeypatch.setattr("pointrend.engines.find_spec", lambda _: "found")
    monkeypatch.setattr("pointrend.engines.has_int8_products", lambda: True)
    pack(folder, tmp_path / "store", "pointrend", "auto", Console(file=told, width=1000))
    assert "shifted could not be quantised" in told.getvalue()
    assert "shifted is served with eager." in told.getvalue()
    with pytest.raises(InaccurateExport):
        pack(folder, tmp_path / "store", "pointrend", OPENVINO_INT8, Console(file=told))


def archive_calibrated_with(photos: Path, destination: Path) -> Result:
    """``pointrend archive`` of the small R-CNN in int8."""
    command = ["archive", "--model", str(SMALL_RCNN), "--engine", OPENVINO_INT8, "--calibrate", str(photos)]
    return CliRunner().invoke(app, [*command, "--destination", str(destination)])


def test_a_folder_of_photos_is_calibrated_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One small photo; what a process of its own does is done here, and its numbers of photos are noted."""
    photos = tmp_path / "photos" / "below"
    photos.mkdir(parents=True)
    Image.open(DEMO_PHOTOS / "chelsea.png").convert("RGB").resize((96, 64)).save(photos / "cat.jpg")
    asked: list[Path | None] = []
    folder = ModelFolder.open(SMALL_RCNN)

    def written(model: ModelFolder, destination: Path, engine: str, given: Path | None = None) -> None:
        assert engine == OPENVINO_INT8
        asked.append(given)
        assert model == folder
        destination.mkdir()
        store.stamp(destination, model, len(calibration.find_images(given)))

    monkeypatch.setattr(export, "export", written)
    done = archive_calibrated_with(tmp_path / "photos", tmp_path / "store")
    assert done.exit_code == 0, done.exception
    assert asked == [tmp_path / "photos"]
    with zipfile.ZipFile(tmp_path / "store" / "pointrend.mar") as content:
        assert json.loads(content.read(f"model/{OPENVINO_INT8}/{store.STAMP}"))["photos"] == 1


def test_many_photos_are_chosen_from_evenly(tmp_path: Path) -> None:
    for number in range(100):
        (tmp_path / f"{number:03}.JPG").touch()
    (tmp_path / "notes.txt").touch()
    chosen = [int(path.stem) for path in calibration.find_images(tmp_path)]
    assert len(chosen) == calibration.MOST_IMAGES
    assert {3, 4} >= set(np.diff(chosen).tolist())
    assert chosen[0] == 0


def test_the_labels_of_a_data_set_are_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "images").mkdir()
    Image.new("RGB", (32, 32)).save(tmp_path / "images" / "a.png")
    tree = {"images": [{"id": 1, "file_name": "a.png", "width": 32, "height": 32}], "categories": [], "annotations": []}
    (tmp_path / "instances_train.json").write_text(json.dumps(tree))
    read: list[Path] = []
    started: list[list[str]] = []

    def reading(folder: Path) -> CocoFile | None:
        read.append(folder)
        return read_labels(folder)

    def start(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        started.append(command)
        return subprocess.CompletedProcess(command, 0, "", "")

    read_labels = calibration.read_labels
    monkeypatch.setattr(calibration, "read_labels", reading)
    monkeypatch.setattr("subprocess.run", start)
    export.export(ModelFolder.open(SMALL_RCNN), tmp_path / "to", OPENVINO_INT8, tmp_path)
    assert read == [tmp_path]
    assert started[0][-1] == str(tmp_path / "images" / "a.png")
    assert "bare (1)" in caplog.text


def test_the_default_photos_are_there() -> None:
    assert [path.name for path in calibration.find_images(None)] == list(calibration.EXAMPLES)


@pytest.mark.parametrize("kind", ["missing", "empty", "a file"])
def test_a_folder_without_photos_is_named(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    if kind == "empty":
        folder.mkdir()
        (folder / "notes.txt").touch()
    elif kind == "a file":
        folder.touch()
    expected = "holds no photo" if kind == "empty" else "there is no folder"
    refused = archive_calibrated_with(folder, tmp_path / "to")
    assert isinstance(refused.exception, ConfigError)
    assert str(refused.exception).startswith("calibrate: ")
    assert expected in str(refused.exception)
    assert str(folder) in str(refused.exception)
    assert list((tmp_path / "to").iterdir()) == []


def test_a_photo_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Found out in the process of its own; its sentence reaches the caller, and no half of an archive is left."""
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "broken.png").write_bytes(b"no picture")
    with pytest.raises(
        ConfigError, match=r"pointrend-rcnn could not be quantised: calibrate: The image .*broken\.png cannot be"
    ):
        export.export(ModelFolder.open(SMALL_RCNN), tmp_path / "to", OPENVINO_INT8, photos)
    assert not (tmp_path / "to").exists()


def test_only_what_is_quantised_is_calibrated(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"calibrate: the engine eager is not calibrated; openvino-int8 is\."):
        build(ModelFolder.open(SMALL_RCNN), tmp_path, calibrate=DEMO_PHOTOS)


@pytest.mark.parametrize("package", ["openvino", "nncf"])
def test_a_missing_package_is_named_with_its_extra(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POINTREND_HOME", str(tmp_path))
    for module in ("pointrend.engines", "pointrend.engines.export"):
        monkeypatch.setattr(f"{module}.find_spec", lambda name: None if name == package else "found")
    with pytest.raises(ConfigError, match=rf"needs the Python package {package}.* extra openvino"):
        pointrend.load(SMALL_RCNN, engine=OPENVINO_INT8)


def test_a_gpu_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)  # also where there is one
    with pytest.raises(ConfigError, match=r"engine: cuda needs a GPU .* sees none here\. Choose the engine eager or"):
        network.open_network(ModelFolder.open(SMALL_RCNN), "cuda")


class Double(Part):
    name = "double"

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (inputs[0], 2 * inputs[0])

    def shapes(self, *inputs: tuple[int, ...]) -> list[tuple[int, ...]]:
        return [inputs[0], inputs[0]]

    def install(self, network: Network, run: Run) -> None:
        raise NotImplementedError


@pytest.mark.parametrize(("factor", "off"), [(0.9, "55.00%"), (4.0, "100.00%"), (float("nan"), "nan%")])
def test_what_comes_out_wrong_is_not_kept(factor: float, off: str) -> None:
    inputs = (torch.rand(4, 5, generator=torch.Generator().manual_seed(0)),)
    export.check(Double(), lambda each: (1.05 * each, 1.9 * each), inputs, 0.5)
    with pytest.raises(
        InaccurateExport, match=f"output 1 of its part double would be off by {off}; the limit is 50.0%"
    ):
        export.check(Double(), lambda each: (each, factor * each), inputs, 0.5)
