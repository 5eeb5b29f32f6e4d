"""Models of the Hub on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from pointrend.cli.main import app
from pointrend.errors import CheckpointError, ConfigError
from pointrend.weights.folder import ModelFolder
from pointrend.weights.hub import store
from pointrend.weights.hub.address import HubAddress
from pointrend.weights.pull import is_missing, pull
from tests.hub_server import TOKEN, Repository, StandInHub
from tests.weights.hub_cases import ADDRESS, GOLDEN, OWN, home, nothing_is_kept

RUN = CliRunner()


def test_the_command_line_lists_tells_and_removes(hub: StandInHub, published: Repository) -> None:
    sha = published.branches["main"]
    pulled = RUN.invoke(app, ["weights", "pull", ADDRESS])
    assert f"{ADDRESS} is pinned to commit {sha}" in pulled.output
    assert "shapes, 3 categories" in pulled.output
    assert f"still at commit {sha}" in RUN.invoke(app, ["weights", "pull", ADDRESS]).output
    listed = RUN.invoke(app, ["weights", "list"], env={"COLUMNS": "150"}).output
    assert ADDRESS in listed
    assert sha in listed
    told = RUN.invoke(app, ["weights", "info", ADDRESS]).output
    assert all(word in told for word in ("shapes 1.0", sha, f"{hub.url}/{OWN}", "square, disc, star", "MIT"))
    removed = RUN.invoke(app, ["weights", "remove", ADDRESS])
    assert removed.output.strip() == f"Removed {ADDRESS}@{sha} from the cache."
    assert nothing_is_kept()
    with pytest.raises(ConfigError, match=r"is not in .* yet"):
        RUN.invoke(app, ["weights", "info", ADDRESS], catch_exceptions=False)
    with pytest.raises(ConfigError, match="is not in"):
        store.remove(HubAddress.parse(ADDRESS))


def test_an_implicit_token_can_be_forbidden(
    hub: StandInHub, published: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_IMPLICIT_TOKEN", True)
    pull(ADDRESS)
    assert not any("authorization" in seen.headers for seen in hub.hub.requests)


def test_predict_pulls_what_is_not_here(hub: StandInHub, published: Repository, tmp_path: Path) -> None:
    image = GOLDEN.parent / "images" / "chelsea_451x300.png"
    options = ["--out", str(tmp_path), "--save", "coco", "--engine", "eager"]
    done = RUN.invoke(app, ["predict", str(image), "--model", f"{ADDRESS}@main", *options])
    assert done.exit_code == 0, done.output
    assert "1 done" in done.output
    assert is_missing(ADDRESS)
    assert not is_missing(f"{ADDRESS}@main")


def test_archive_pulls_what_is_not_here(hub: StandInHub, published: Repository, tmp_path: Path) -> None:
    done = RUN.invoke(app, ["archive", "--model", ADDRESS, "--destination", str(tmp_path), "--engine", "eager"])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "pointrend.mar").stat().st_size > 100_000
    assert not is_missing(ADDRESS)


def test_a_batch_names_the_commit(hub: StandInHub, published: Repository) -> None:
    """What is read from a plan by another machine, or later, is the same model."""
    from pointrend.batch.run import batch_config

    pull(ADDRESS)
    settings = batch_config("photos", model=ADDRESS, engine="eager", options={}, form="jsonl", shard_size=4)
    assert settings.model == f"{ADDRESS}@{published.branches['main']}"
    assert batch_config("photos", model="demo", engine="eager", options={}, form="jsonl", shard_size=4).model == "demo"


def test_pins_that_cannot_be_read_are_a_sentence(hub: StandInHub, published: Repository) -> None:
    pull(ADDRESS)
    pins = home() / "hub" / "ada" / "shapes" / "pins.json"
    for text in ("{", "[]", '{"": "../../../etc"}', '{"": 3}'):
        pins.write_text(text)
        with pytest.raises(CheckpointError, match=rf"pins.json .* Delete it, and pull {ADDRESS} again"):
            ModelFolder.open(ADDRESS)
    pins.unlink()
    hub.forget()
    assert pull(ADDRESS).info.name == "shapes"
    assert not any("resolve" in seen for seen in hub.asked)  # the commit was still there
