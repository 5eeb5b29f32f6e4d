"""The published models as data; and one of each structure, randomly filled, pulled, read back and run on a photo."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Iterator
from math import prod
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from pointrend.cli.main import app
from pointrend.config.files import config_from_dict, config_to_dict, read_config
from pointrend.config.schema import SemanticConfig
from pointrend.errors import CheckpointError, ConfigError, DownloadError, Unreachable
from pointrend.modeling.network import build_network
from pointrend.serving.torchserve import Ports
from pointrend.serving.up import up
from pointrend.system import home as system_home
from pointrend.weights import cache, download, zoo
from pointrend.weights.checkpoint import load_into, read_checkpoint, save_safetensors
from pointrend.weights.folder import ModelFolder
from pointrend.weights.pull import is_missing, pull, source
from tests.ports import free_ports
from tests.published import KEYS, PUBLISHED, random_weights, shapes
from tests.weights.flaky_server import Behaviour, FlakyServer

RUN = CliRunner()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("POINTREND_OFFLINE", "POINTREND_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("POINTREND_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_the_data_are_complete() -> None:
    assert zoo.names() == tuple(PUBLISHED)
    for model in zoo.models():
        assert len(model.categories) == model.config.num_classes
        assert len({category.id for category in model.categories}) == len(model.categories)
        assert len(model.hash_prefix) == 6
        assert model.version.isdecimal()
        assert model.url().startswith("https://")
        assert model.figures
        assert model.info.licence
        assert (model.task == "semantic") == isinstance(model.config, SemanticConfig)
    coco = zoo.find("coco-r50-3x").categories
    assert (coco[0].id, coco[0].name, coco[-1].id, coco[-1].name, len(coco)) == (1, "person", 90, "toothbrush", 80)
    assert [len(zoo.find(f"cityscapes-{name}").categories) for name in ("r50-1x", "semantic-r101-1x")] == [8, 19]


@pytest.mark.parametrize("name", PUBLISHED)
def test_configuration_and_size_are_the_published_ones(name: str) -> None:
    model = zoo.find(name)
    assert model.config == read_config(KEYS / f"{PUBLISHED[name]}.config.yaml")
    assert config_from_dict(config_to_dict(model.config)) == model.config
    assert model.weight_bytes == 4 * sum(map(prod, shapes(name).values()))


def test_an_unknown_name_is_answered_with_a_near_one() -> None:
    with pytest.raises(ConfigError, match=r"'coco-r50-2x'. Did you mean 'coco-r50-"):
        zoo.find("coco-r50-2x")


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_network_has_exactly_the_published_weights(name: str) -> None:
    with torch.device("meta"):
        network = build_network(zoo.find(name).config)
    assert {key: tuple(value.shape) for key, value in network.state_dict().items()} == shapes(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in PUBLISHED if name != "coco-r50-1x"])
def test_a_random_checkpoint_of_the_published_structure(name: str, tmp_path: Path) -> None:
    """It loads from a pickle, round-trips through safetensors, and the network runs on a photo, all finite."""
    arrays = random_weights(name)
    path = tmp_path / "model_final.pkl"
    with path.open("wb") as file:
        pickle.dump({"model": arrays, "__author__": "a test"}, file, protocol=4)
    state = read_checkpoint(path)
    path.unlink()
    save_safetensors(state, tmp_path / "model.safetensors")
    again = read_checkpoint(tmp_path / "model.safetensors")
    assert state.keys() == again.keys()
    assert all(torch.equal(state[key], again[key]) for key in state)
    del state, arrays

    model = build_network(zoo.find(name).config).eval()
    load_into(model, again)
    photo = torch.from_numpy(np.random.default_rng(1).normal(0, 60, (1, 3, 64, 96)).astype(np.float32))
    with torch.inference_mode():
        if isinstance(model.config, SemanticConfig):
            classes = model.classify(photo, (60, 90), (30, 45), refinement=4)
            assert classes.shape == (30, 45)
            assert 0 <= int(classes.min()) <= int(classes.max()) < 19
            return
        features, detections = model.detect(photo, (60, 90))
        boxes, kinds = torch.tensor([[5.0, 5.0, 60.0, 50.0]]), torch.tensor([1])
        masks = model.mask_logits(features, boxes, kinds)
    assert detections.boxes.isfinite().all()
    assert masks.isfinite().all()
    assert masks.shape[1] == (28 if "mask-rcnn" in name else 224)


# Pulling, with a narrow model under a published name: the network's size is of no matter to it.


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, FlakyServer]]:
    """A zoo of one small semantic model, and a server that has it."""
    golden = KEYS.parent / "semantic_cityscapes19_landscape"
    body = (golden / "model_final.pkl").read_bytes()
    published = zoo.find("cityscapes-semantic-r101-1x")
    name = f"Small/123/model_final_{hashlib.md5(body).hexdigest()[:6]}.pkl"
    with FlakyServer(body) as server:
        tree = json.loads(zoo.ZOO.read_text())
        entry = next(entry for entry in tree["models"] if entry["name"] == published.name)
        entry |= {
            "path": name,
            "weight_bytes": 3_600_000,
            "config": config_to_dict(read_config(golden / "config.yaml")),
        }
        file = golden.parent / "zoo.json"
        file = tmp_path / "zoo.json"
        file.write_text(json.dumps(tree | {"base_url": server.url + "/", "models": [entry]}))
        monkeypatch.setattr(zoo, "ZOO", file)
        zoo.models.cache_clear()
        yield published.name, server
    monkeypatch.undo()
    zoo.models.cache_clear()


def test_pull_downloads_converts_and_keeps(small: tuple[str, FlakyServer], home: Path) -> None:
    name, server = small
    assert is_missing(name)
    server.behaviours = [Behaviour(cut_after=2_000_000), Behaviour()]
    folder = pull(name)
    assert folder.path == home / "models" / name
    assert {path.name for path in folder.path.iterdir()} == {
        "model.safetensors",
        "config.yaml",
        "model.json",
        "MODEL_CARD.md",
        "manifest.json",
    }
    assert (folder.info.name, folder.info.version, folder.info.categories[0].name) == (name, "123", "road")
    assert "mIoU" in (folder.path / "MODEL_CARD.md").read_text()
    assert not [path for path in home.rglob("*") if path.suffix in (".pkl", ".part")]
    assert not is_missing(name)

    server.requests.clear()
    server.behaviours = [Behaviour()]
    assert pull(name).network == folder.network
    assert ModelFolder.open(name).path == folder.path
    assert server.requests == []
    pull(name, force=True)
    assert len(server.requests) == 1


def test_a_pulled_model_that_changed_is_refused(small: tuple[str, FlakyServer], home: Path) -> None:
    name, _ = small
    weights = pull(name).weights
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"safetensors has changed .* pull {name} --force"):
        ModelFolder.open(name)
    assert pull(name, force=True).info.name == name
    (home / "models" / name / "config.yaml").unlink()
    with pytest.raises(CheckpointError, match=r"config\.yaml cannot be read"):
        pull(name)


def test_a_mirror_has_the_same_paths(
    small: tuple[str, FlakyServer], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, server = small
    monkeypatch.setenv("POINTREND_MIRROR", f"{server.url}/mirror/")
    pull(name)
    assert server.requests[0]["path"].startswith("/mirror/Small/123/model_final_")


def test_a_file_of_another_model_is_not_installed(small: tuple[str, FlakyServer], home: Path) -> None:
    name, server = small
    server.behaviours = [Behaviour(body=bytes(3_700_000))]
    with pytest.raises(DownloadError, match="a different file than published"):
        pull(name)
    assert not cache.is_cached(name)
    assert list((home / "models").glob("*")) == [home / "models" / f".{name}.lock"]


def test_a_pinned_file_alone_is_taken(small: tuple[str, FlakyServer], home: Path) -> None:
    name, server = small
    digest = hashlib.sha256(server.body).hexdigest()
    with pytest.raises(DownloadError, match=rf"{name}: http.* than asked for: .* SHA-256 be {'0' * 64}, but its MD5"):
        pull(name, sha256="0" * 64)
    assert not cache.is_cached(name)
    folder = pull(name, sha256=digest.upper())
    assert source(folder.path)["sha256"] == digest
    requests = len(server.requests)
    assert pull(name, sha256=digest).path == folder.path
    with pytest.raises(CheckpointError, match=f"SHA-256 {digest}, not {'1' * 64}. .* --force --sha256 1"):
        pull(name, sha256="1" * 64)
    assert len(server.requests) == requests


def test_a_whole_hash_does_not_replace_the_published_digits(
    small: tuple[str, FlakyServer], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, server = small
    other = bytes(3_700_000)
    server.behaviours = [Behaviour(body=other)]
    with pytest.raises(DownloadError, match="delivered a different file"):
        pull(name, sha256=hashlib.sha256(other).hexdigest())


@pytest.mark.parametrize(
    ("name", "sha256", "message"),
    [
        ("coco-r50-3x", "abc", "sha256: 'abc' is not 64 hexadecimal digits"),
        ("hf://a/b", "0" * 64, "sha256: hf://a/b is of the Hugging Face Hub"),
    ],
)
def test_a_hash_that_cannot_be_one(home: Path, name: str, sha256: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        pull(name, sha256=sha256)


def test_what_cannot_be_fetched_is_said_in_a_sentence(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What, from where, why, and what to do."""
    monkeypatch.setattr(download, "FIRST_PAUSE", 0.01)
    mirror = f"http://127.0.0.1:{free_ports(1)[0]}"
    monkeypatch.setenv("POINTREND_MIRROR", mirror)
    failed = RUN.invoke(app, ["weights", "pull", "coco-r50-3x"])
    assert failed.exit_code == 1
    assert str(failed.exception) == (
        f"coco-r50-3x: {zoo.find('coco-r50-3x').url(mirror)} cannot be fetched, not in {download.ATTEMPTS} attempts: "
        "there is no connection. Check the network and its proxy, and try again. "
        "If a mirror is set (POINTREND_MIRROR), check its address."
    )


def test_offline(small: tuple[str, FlakyServer], home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, server = small
    monkeypatch.setenv("POINTREND_OFFLINE", "1")
    with pytest.raises(Unreachable, match="POINTREND_OFFLINE forbids"):
        pull(name)
    with pytest.raises(ConfigError, match=f"pointrend weights pull {name}"):
        ModelFolder.open(name)
    assert server.requests == []
    monkeypatch.delenv("POINTREND_OFFLINE")
    pull(name)
    monkeypatch.setenv("POINTREND_OFFLINE", "1")
    assert pull(name).info.name == name


def test_up_without_internet_offers_the_demo(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTREND_OFFLINE", "1")
    ports = free_ports(6)
    with pytest.raises(Unreachable, match=r"coco-r50-3x is not in .* pointrend up --model demo"):
        up("coco-r50-3x", Ports(*ports))


def test_the_command_line_lists_and_tells(home: Path) -> None:
    listed = RUN.invoke(app, ["weights", "list"])
    assert listed.exit_code == 0
    assert all(name in listed.output for name in PUBLISHED)
    told = RUN.invoke(app, ["weights", "info", "coco-x101-3x"])
    assert told.exit_code == 0
    assert all(word in told.output for word in ("41.1", "CC BY-SA 3.0", "model_final_ba17b9.pkl", "toothbrush"))


def test_the_command_line_pulls(small: tuple[str, FlakyServer], home: Path) -> None:
    name, _ = small
    pulled = RUN.invoke(app, ["weights", "pull", name, "--sha256", hashlib.sha256(small[1].body).hexdigest()])
    assert pulled.exit_code == 0, pulled.output
    assert f"{name}, 19 categories" in pulled.output
    assert "yes" in RUN.invoke(app, ["weights", "list"]).output
    told = RUN.invoke(app, ["weights", "info", name])
    assert hashlib.sha256(small[1].body).hexdigest() in told.output


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({"POINTREND_HOME": "/models"}, "/models"),
        ({"POINTREND_HOME": "", "XDG_CACHE_HOME": "/cache"}, "/cache/pointrend"),
        ({"POINTREND_HOME": "", "XDG_CACHE_HOME": "", "HOME": "/home/ada"}, "/home/ada/.cache/pointrend"),
    ],
)
@pytest.mark.skipif("sys.platform != 'linux'")
def test_the_cache_folder(variables: dict[str, str], wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert system_home.home() == Path(wanted)
