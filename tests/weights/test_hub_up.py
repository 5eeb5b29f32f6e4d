"""``pointrend up`` with a model of the (stand-in) Hub: pulled and served; and served again with the Hub away."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from PIL import Image

from pointrend.client import Client
from tests.hub_server import Repository, StandInHub
from tests.launched import launched, up_command
from tests.ports import free_server_port
from tests.weights.hub_cases import OWN


def serve_once(store: Path, log: Path, *options: str) -> str:
    """Start, ask for a prediction of each model, stop; returns what was printed."""
    port = free_server_port()
    command = up_command(store, "--no-page", "--server-port", str(port), "--engine", "eager", *options)
    with launched(command, log) as process:
        client = Client(f"http://127.0.0.1:{port}", timeout=60)
        assert client.describe()["name"] == "shapes"
        assert client.segment(Image.new("RGB", (64, 48))).width == 64
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0, log.read_text()
    return " ".join(log.read_text().split())


@pytest.mark.server
@pytest.mark.slow
def test_a_model_of_the_hub_is_pulled_and_served(hub: StandInHub, published: Repository, tmp_path: Path) -> None:
    sha = published.branches["main"]
    said = serve_once(tmp_path / "store", tmp_path / "first", "--model", f"hf://{OWN}")
    assert f"hf://{OWN} is pinned to commit {sha}" in said
    assert "Pulled shapes to" in said
    hub.stop()
    assert os.environ["HF_ENDPOINT"] == hub.url  # where nobody answers now
    said = serve_once(tmp_path / "store", tmp_path / "second", "--model", f"hf://{OWN}")
    assert "Pulled" not in said
