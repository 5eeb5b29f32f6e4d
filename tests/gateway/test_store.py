"""Which archive the container serves, told by its variables."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from gateway import store
from gateway.config import ContainerConfig, VariableError
from pointrend.serving.archive import build
from pointrend.structures.model_info import Category, ModelInfo
from pointrend.weights import cache
from pointrend.weights.convert import convert
from pointrend.weights.folder import ModelFolder

GOLDEN = Path(__file__).parents[1] / "golden" / "pointrend_coco80_landscape"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
ZOO = {"url": "http://127.0.0.1/x.pkl", "md5": "0", "sha256": "0"}
HUB = {"hub": "http://127.0.0.1", "repository": "ada/shapes", "revision": "v1", "commit": COMMIT}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    """A narrow model under a published name."""
    categories = tuple(Category(number, f"thing {number}") for number in range(1, 81))
    info = ModelInfo(name="coco-r50-3x", version="1", categories=categories)
    return convert(
        GOLDEN / "model_final.pkl", GOLDEN / "config.yaml", tmp_path_factory.mktemp("model") / "coco-r50-3x", info
    )


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def prepared(stack: ExitStack, **variables: str) -> tuple[Path, list[str]]:
    said: list[str] = []
    return store.prepare(ContainerConfig.read(variables), stack, said.append), said


def served(place: Path) -> str:
    with zipfile.ZipFile(place / store.FILE) as file:
        return str(json.loads(file.read("model/model.json"))["name"])


@pytest.fixture(scope="module")
def demo_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("demo-store")
    build(ModelFolder.open("demo"), place)
    return place


def test_without_a_model_the_store_is_served(stack: ExitStack, demo_store: Path) -> None:
    assert prepared(stack, POINTREND_STORE=str(demo_store)) == (demo_store, [])
    assert prepared(stack, POINTREND_STORE=str(demo_store), POINTREND_MODEL="demo") == (demo_store, [])


def test_without_a_store_the_demo_is_built(stack: ExitStack) -> None:
    place, said = prepared(stack)
    assert served(place) == "pointrend-demo"
    assert said == ["Built the archive with pointrend-demo."]
    stack.close()
    assert not place.exists()


def test_another_model_comes_before_the_store(stack: ExitStack, demo_store: Path, folder: ModelFolder) -> None:
    place, said = prepared(stack, POINTREND_STORE=str(demo_store), POINTREND_MODEL=str(folder.path))
    assert place != demo_store
    assert served(place) == "coco-r50-3x"
    assert said == ["Built the archive with coco-r50-3x."]


@pytest.mark.parametrize(
    ("source", "names"),
    [
        (ZOO, ("coco-r50-3x",)),
        (HUB, ("hf://ada/shapes@v1", f"hf://ada/shapes@{COMMIT}")),
        (HUB | {"revision": None}, ("hf://ada/shapes", f"hf://ada/shapes@{COMMIT}")),
    ],
)
def test_the_model_that_a_store_was_built_with_is_not_pulled_again(
    stack: ExitStack,
    folder: ModelFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    source: dict[str, str | None],
    names: tuple[str, ...],
) -> None:
    monkeypatch.setenv("POINTREND_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("POINTREND_OFFLINE", "1")
    cache.write_manifest(folder.path, source)
    build(folder, tmp_path)
    for name in names:
        assert prepared(stack, POINTREND_STORE=str(tmp_path), POINTREND_MODEL=name) == (tmp_path, [])
    place, _ = prepared(stack, POINTREND_STORE=str(tmp_path), POINTREND_MODEL="demo")
    assert served(place) == "pointrend-demo"


def test_an_engine_without_its_files_is_refused_before_anything_starts(stack: ExitStack, demo_store: Path) -> None:
    for engine in ("auto", "eager"):
        assert prepared(stack, POINTREND_STORE=str(demo_store), POINTREND_ENGINE=engine)[0] == demo_store
    with pytest.raises(
        VariableError, match=r"ENGINE is 'openvino-int8', and .*pointrend\.mar was built without .*'auto'"
    ):
        prepared(stack, POINTREND_STORE=str(demo_store), POINTREND_ENGINE="openvino-int8")
    with pytest.raises(VariableError, match="was built without"):
        prepared(stack, POINTREND_ENGINE="openvino-int8")


@pytest.mark.parametrize("content", [None, b"no archive"])
def test_a_store_without_an_archive(stack: ExitStack, tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / store.FILE).write_bytes(content)
    with pytest.raises(VariableError, match=r"POINTREND_STORE is '.*', which holds no archive pointrend\.mar"):
        prepared(stack, POINTREND_STORE=str(tmp_path))
