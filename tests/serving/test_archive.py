"""Archives are built for real, of a model folder whose weights are a few bytes: building reads none of them."""

import dataclasses
import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from handler.config import ModelConfig
from pointrend.serving.archive import ArchiveError, build
from pointrend.serving.server_config import ServerConfig
from pointrend.weights.checkpoint import read_checkpoint
from pointrend.weights.folder import ModelFolder


@pytest.fixture
def model_folder(tmp_path):
    demo = ModelFolder.open("demo")
    folder = tmp_path / "a model, [v2]"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    shutil.copyfile(demo.path / "config.yaml", folder / "config.yaml")
    (folder / "model.json").write_text(json.dumps(dataclasses.replace(demo.info, version="2.1").to_dict()))
    (folder / "MODEL_CARD.md").write_text("# m\n")
    (folder / "model.pkl").write_bytes(b"a program")
    return ModelFolder.open(folder)


def test_what_lies_in_an_archive(model_folder, tmp_path):
    archive = build(model_folder, tmp_path / "store")

    assert archive == tmp_path / "store" / "pointrend.mar"
    assert [path.name for path in archive.parent.iterdir()] == ["pointrend.mar"]
    with zipfile.ZipFile(archive) as content:
        names = set(content.namelist())
        manifest = json.loads(content.read("MAR-INF/MANIFEST.json"))["model"]
    assert {name for name in names if name.startswith("model/")} == {
        "model/model.safetensors",
        "model/config.yaml",
        "model/model.json",
        "model/MODEL_CARD.md",
    }
    assert names >= {
        "pointrend_handler.py",
        "model-config.yaml",
        "handler/__init__.py",
        "handler/inputs.py",
        "pointrend/service/inputs.py",
        "pointrend/modeling/rcnn.py",
    }
    assert not any("__pycache__" in name or name.startswith("pointrend/weights/demo") for name in names)
    assert (manifest["modelName"], manifest["modelVersion"]) == ("pointrend", "2.1")
    assert manifest["handler"] == "pointrend_handler.py"


def test_an_older_archive_is_replaced_and_survives_a_failure(model_folder, tmp_path):
    archive = build(model_folder, tmp_path)
    first = archive.read_bytes()
    model_folder.weights.write_bytes(b"other weights")
    assert build(model_folder, tmp_path).read_bytes() != first

    second = archive.read_bytes()
    with model_folder.weights.open("wb") as weights:
        weights.truncate(shutil.disk_usage(tmp_path).free)
    with pytest.raises(ArchiveError, match="disk is full"):
        build(model_folder, tmp_path)
    assert archive.read_bytes() == second
    assert not list(tmp_path.glob(".building-*"))


def test_the_archives_own_packages_win(model_folder, tmp_path):
    """TorchServe puts PYTHONPATH before the archive; another copy there must not be the one that runs."""
    other = tmp_path / "other"
    for package in ("pointrend", "handler"):
        (other / package).mkdir(parents=True)
        (other / package / "__init__.py").write_text("raise ImportError('the wrong copy')\n")
    unpacked = tmp_path / "unpacked"
    shutil.unpack_archive(build(model_folder, tmp_path), unpacked, "zip")

    program = (
        "import pointrend_handler as p, sys; "
        "print(*(sys.modules[name].__file__ for name in ('pointrend', p.ModelService.__module__)), p.inputs.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(other), str(unpacked)])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    files = ("pointrend/__init__.py", "pointrend/service/answering.py", "handler/inputs.py")
    assert list(map(Path, done.stdout.split())) == [unpacked / file for file in files]


@pytest.mark.parametrize("name", ["model_final.PTH", "last.ckpt", "MODEL.SAFETENSORS", "pytorch_model.bin", "m.pkl"])
def test_weights_under_another_name_become_safetensors(tmp_path, name):
    demo = ModelFolder.open(Path(__file__).parents[1] / "demo" / "reference_model")
    folder = tmp_path / "folder"
    folder.mkdir()
    for file in ("config.yaml", "model.json"):
        shutil.copyfile(demo.path / file, folder / file)
    state = read_checkpoint(demo.weights)
    if name.endswith("SAFETENSORS"):
        shutil.copyfile(demo.weights, folder / name)
    elif name.endswith("pkl"):
        (folder / name).write_bytes(pickle.dumps({"model": {key: value.numpy() for key, value in state.items()}}))
    else:
        torch.save({"model": {f"module.{key}": value for key, value in state.items()}}, folder / name)

    archive = build(ModelFolder.open(folder), tmp_path / "store")

    with zipfile.ZipFile(archive) as content:
        content.extractall(tmp_path / "unpacked")
    assert sorted(path.name for path in (tmp_path / "unpacked" / "model").iterdir()) == [
        "config.yaml",
        "model.json",
        "model.safetensors",
    ]
    served = read_checkpoint(ModelFolder.open(tmp_path / "unpacked" / "model").weights)
    assert served.keys() == state.keys()
    assert all(torch.equal(served[key], state[key]) for key in state)
    assert {path.name for path in folder.iterdir()} == {name, "config.yaml", "model.json"}


def test_too_little_room_is_said_with_figures(model_folder, tmp_path):
    # A sparse file: its size is beyond any disk's room, its content takes none.
    with model_folder.weights.open("wb") as weights:
        weights.truncate(shutil.disk_usage(tmp_path).free)
    with pytest.raises(ArchiveError, match=r"disk is full \(\d+ MiB are needed and \d+ MiB are free\)"):
        build(model_folder, tmp_path / "store")
    assert list((tmp_path / "store").iterdir()) == []


def test_a_store_that_cannot_be_a_folder(model_folder, tmp_path):
    (tmp_path / "store").write_text("a file")
    with pytest.raises(ArchiveError, match=r"could not be written to .*store"):
        build(model_folder, tmp_path / "store")


def test_a_missing_archiver_is_said_with_how_to_get_it(model_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ArchiveError, match="extra 'serve'"):
        build(model_folder, tmp_path)


def test_the_handler_refuses_before_torchserve_would_restart_its_worker():
    server, handler = ServerConfig.read(), ModelConfig.read().handler
    assert handler.max_response_bytes < server.max_response_bytes
    # An image at its limit still fits into a request in base64, the largest of the three forms.
    assert handler.max_image_bytes * 4 / 3 < server.max_request_bytes - 2**20


def test_packing_what_was_exported_before_imports_no_torch(tmp_path: Path) -> None:
    """`pointrend up` packs the model at each start, and then only waits."""
    pytest.importorskip("openvino")
    folder = ModelFolder.open("demo")
    code = (
        "import sys; from pathlib import Path\n"
        "from pointrend.serving.archive import build\n"
        "from pointrend.weights.folder import ModelFolder\n"
        "build(ModelFolder.open('demo'), Path(sys.argv[1]), engine='openvino')\n"
        "print('torch' in sys.modules)"
    )
    build(folder, tmp_path, engine="openvino")  # made here, where it is not in the cache yet
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
