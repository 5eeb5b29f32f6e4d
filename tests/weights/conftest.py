"""What the tests of the Hugging Face Hub share: a stand-in of it, and a small model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pointrend.weights import download
from pointrend.weights.convert import convert
from pointrend.weights.folder import ModelFolder
from tests.hub_server import Repository, StandInHub
from tests.weights.hub_cases import GOLDEN, INFO, OWN, content


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    """A narrow PointRend with random weights, and a card."""
    folder = tmp_path_factory.mktemp("small") / "shapes"
    model = convert(GOLDEN / "model_final.pkl", GOLDEN / "config.yaml", folder, INFO)
    (folder / "MODEL_CARD.md").write_text("# shapes\n\nIt finds shapes.\n")
    return model


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandInHub]:
    """A stand-in Hub, and a process that knows no other, has no token and keeps nothing yet."""
    for name in ("POINTREND_OFFLINE", "HF_HUB_OFFLINE", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setenv("POINTREND_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(download, "FIRST_PAUSE", 0.01)
    with StandInHub() as stand_in:
        monkeypatch.setenv("HF_ENDPOINT", stand_in.url)
        yield stand_in


@pytest.fixture
def published(hub: StandInHub, small_model: ModelFolder) -> Repository:
    """The small model on the stand-in Hub, among files that are nobody's business."""
    repository = hub.repositories[OWN] = Repository()
    repository.commit({**content(small_model), "evil.py": b"import os", "../x": b"x", "pytorch_model.bin": b"\x80"})
    return repository
