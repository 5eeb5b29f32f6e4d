"""Another model is served in the place of the first: by the launcher, and as a visitor of the page sees it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from pointrend.client import Client
from pointrend.serving import torchserve
from pointrend.serving.gateway_process import Gateway
from pointrend.serving.served_model import ServedModel, suggestion
from pointrend.serving.torchserve import TorchServe
from pointrend.system.channel import ChannelError
from pointrend.system.processes import LaunchError
from pointrend.weights import cache
from pointrend.weights.checkpoint import read_checkpoint, save_safetensors
from pointrend.weights.folder import WEIGHTS, ModelFolder
from tests.kept_models import exchangeable, keep

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("POINTREND_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("POINTREND_OFFLINE", raising=False)
    return tmp_path / "home"


@pytest.fixture
def served_model(home: Path, tmp_path: Path) -> Iterator[tuple[ServedModel, Gateway]]:
    with exchangeable(tmp_path / "store") as started:
        yield started


def test_what_is_pulled_can_be_chosen_and_the_better_model_is_suggested(home: Path) -> None:
    demo = ModelFolder.open("demo")

    def choice(model: str | Path) -> ServedModel:
        server: TorchServe = None  # type: ignore[assignment]  # not asked
        return ServedModel(server, lambda _: None, model=model, folder=demo, console=Console())

    assert choice("demo").choices() == ["demo"]
    assert choice(demo.path).choices() == [demo.info.name, "demo"]  # not the path
    hint = suggestion()
    assert hint is not None
    assert "'pointrend weights pull coco-r50-3x' (230 MiB, CC BY-SA 3.0)" in hint
    keep("coco-r50-3x", "pointrend_coco80_landscape")
    assert choice("demo").choices() == ["demo", "coco-r50-3x"]
    assert choice("coco-r50-3x").answer({}) == {
        "served": "coco-r50-3x",
        "coming": None,
        "models": ["coco-r50-3x", "demo"],
        "hint": None,
    }


def test_nothing_is_suggested_where_the_network_is_not_to_be_touched(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POINTREND_OFFLINE", "1")
    assert suggestion() is None


@pytest.mark.server
def test_models_are_exchanged_and_a_failure_brings_the_last_one_back(
    served_model: tuple[ServedModel, Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    served, gateway = served_model
    client = Client(gateway.url, timeout=60)
    keep("coco-r50-3x", "pointrend_coco80_landscape")
    changed = keep("coco-mask-rcnn-r50-3x", "maskrcnn_coco80_landscape")
    lacking = keep("coco-r50-1x", "pointrend_coco80_landscape")

    answered = served.answer({"serve": "coco-r50-3x"})
    assert (answered["served"], client.describe()["name"]) == ("coco-r50-3x", "coco-r50-3x")
    assert client.segment(Image.new("RGB", (64, 48))).width == 64

    with pytest.raises(ChannelError, match=r"no model '/etc/passwd' here; choose one of demo, "):
        served.answer({"serve": "/etc/passwd"})

    (changed / WEIGHTS).write_bytes(b"something else")  # its manifest no longer fits
    with pytest.raises(ChannelError, match=r"rcnn-r50-3x cannot be served: .*coco-r50-3x is served as before"):
        served.answer({"serve": "coco-mask-rcnn-r50-3x"})
    assert client.describe()["name"] == "coco-r50-3x"

    # An archive that is built, and whose worker cannot load it.
    state = read_checkpoint(lacking / WEIGHTS)
    (lacking / WEIGHTS).unlink()
    save_safetensors({key: state[key] for key in list(state)[1:]}, lacking / WEIGHTS)
    cache.write_manifest(lacking, {"url": "http://127.0.0.1/"})
    monkeypatch.setattr(torchserve, "START_SECONDS", 30)
    with pytest.raises(ChannelError, match=r"coco-r50-1x could not be started: .*coco-r50-3x is served again"):
        served.answer({"serve": "coco-r50-1x"})
    assert client.describe()["name"] == served.name == "coco-r50-3x"
    served._server.require_running()


@pytest.mark.server
def test_an_exchange_is_not_overtaken_by_another_and_ends_when_the_server_stops(
    served_model: tuple[ServedModel, Gateway],
) -> None:
    served, _ = served_model
    keep("coco-r50-3x", "pointrend_coco80_landscape")
    failures: list[str] = []

    def exchange() -> None:
        try:
            served.answer({"serve": "coco-r50-3x"})
        except ChannelError as error:
            failures.append(str(error))

    thread = threading.Thread(target=exchange)
    thread.start()
    while served.answer({})["coming"] is None:
        assert thread.is_alive()
    with pytest.raises(ChannelError, match="coco-r50-3x is being started; try again"):
        served.answer({"serve": "demo"})
    assert served._server.replacing.locked()  # so that nobody restarts it meanwhile
    assert isinstance(served._server, TorchServe)
    served._server.stop()
    thread.join(60)
    assert not thread.is_alive()
    assert failures
    with pytest.raises(LaunchError):
        served._server.require_running()
