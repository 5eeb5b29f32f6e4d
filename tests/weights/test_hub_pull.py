"""Models of the Hugging Face Hub, pulled from a local stand-in of its HTTP API; the real Hub was not asked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

import pointrend
from pointrend.cli.main import app
from pointrend.errors import CheckpointError, ConfigError, DownloadError
from pointrend.weights import cache
from pointrend.weights.checkpoint import read_checkpoint
from pointrend.weights.folder import ModelFolder
from pointrend.weights.hub.pull import MOST_BYTES
from pointrend.weights.pull import is_missing, pull
from tests.hub_server import Fault, Repository, StandInHub
from tests.weights.hub_cases import ADDRESS, GOLDEN, OWN, content, home, nothing_is_kept

RUN = CliRunner()
KEPT = {"model.safetensors", "config.yaml", "model.json", "MODEL_CARD.md", "manifest.json"}


def test_three_files_and_the_card_are_kept(hub: StandInHub, published: Repository, small_model: ModelFolder) -> None:
    assert is_missing(ADDRESS)
    folder = pull(ADDRESS)
    commit = published.branches["main"]
    assert folder.path == home() / "hub" / "ada" / "shapes" / commit
    assert {path.name for path in folder.path.iterdir()} == KEPT
    assert all(path.is_file() and not path.is_symlink() for path in folder.path.iterdir())
    assert {**content(folder), "manifest.json": b""} == {**content(small_model), "manifest.json": b""}
    assert not is_missing(ADDRESS)
    before, after = (read_checkpoint(model.weights) for model in (small_model, folder))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)

    assert {seen.split("/")[-1] for seen in hub.asked if "resolve" in seen} <= KEPT  # and nothing else
    assert not any("agent" in seen for seen in hub.asked)  # no telemetry
    assert {path.name for path in home().rglob("*") if path.is_file()} == KEPT | {"pins.json", ".shapes.lock"}
    source = json.loads((folder.path / cache.MANIFEST).read_text())["source"]
    assert source == {"hub": hub.url, "repository": OWN, "revision": None, "commit": commit}


def test_what_is_kept_needs_no_network(hub: StandInHub, published: Repository, tmp_path: Path) -> None:
    path = pull(ADDRESS).path
    hub.stop()
    assert pull(ADDRESS).path == ModelFolder.open(ADDRESS).path == path
    assert pointrend.load(ADDRESS).info.name == "shapes"
    # Not even the Hub's library is loaded, nor torch.
    program = (
        "import sys; from pointrend.weights.folder import ModelFolder; from pointrend.weights.pull import is_missing;"
        f"ModelFolder.open({ADDRESS!r}); is_missing({ADDRESS!r});"
        "print([name for name in ('torch', 'huggingface_hub') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_branch_that_moves_is_followed_by_force_only(hub: StandInHub, published: Repository) -> None:
    first = published.branches["main"]
    pull(ADDRESS)
    second = published.commit({**published.commits[first], "MODEL_CARD.md": b"# Newer\n"})
    assert pull(ADDRESS).path.name == first
    pulled = RUN.invoke(app, ["weights", "pull", ADDRESS, "--force"])
    assert pulled.exit_code == 0, pulled.output
    assert f"was at commit {first}, which is kept as {ADDRESS}@{first}, and is now at {second}" in pulled.output
    hub.stop()
    assert ModelFolder.open(ADDRESS).path.name == second
    assert ModelFolder.open(f"{ADDRESS}@{first}").path.name == first  # to go back to


@pytest.mark.parametrize("name", ["v1.0", "refs/pr/3", "feature/a-b_c"])
def test_a_revision_is_pinned_at_its_first_pull(hub: StandInHub, published: Repository, name: str) -> None:
    sha = published.branches["main"]
    published.branches[name] = sha
    published.commit({"README.md": b"nothing"})
    pulled = RUN.invoke(app, ["weights", "pull", f"{ADDRESS}@{name}"])
    assert pulled.exit_code == 0, pulled.output
    assert f"is pinned to commit {sha}" in pulled.output
    published.branches[name] = published.branches["main"]
    assert pull(f"{ADDRESS}@{name}").path.name == sha
    assert is_missing(ADDRESS)


def test_a_commit_is_itself(hub: StandInHub, published: Repository) -> None:
    sha = published.branches["main"]
    published.commit({"README.md": b"nothing"})
    assert pull(f"{ADDRESS}@{sha}").path.name == sha
    assert pull(f"{ADDRESS}@{sha[:9]}").path.name == sha  # the Hub knows it by its first digits
    hub.forget()
    assert pull(f"{ADDRESS}@{sha}").path.name == sha
    assert hub.asked == []


def test_the_card_may_be_the_readme_or_none(hub: StandInHub, published: Repository) -> None:
    files = dict(published.commits[published.branches["main"]])
    del files["MODEL_CARD.md"]
    published.commit(files)
    assert not (pull(ADDRESS).path / "MODEL_CARD.md").exists()
    published.commit({**files, "README.md": b"---\nlicense: mit\n---\n# Shapes\n"})
    folder = pull(ADDRESS, force=True)
    assert (folder.path / "MODEL_CARD.md").read_text().endswith("# Shapes\n")


def test_everything_is_kept_at_the_commit_that_was_resolved_first(hub: StandInHub, published: Repository) -> None:
    """The branch moves between the Hub's answers: no mixture of two commits comes about."""
    first = published.branches["main"]

    def move() -> None:
        published.commit(dict.fromkeys(published.commits[first], b"other"))

    hub.hub.faults = [Fault("HEAD .*safetensors", times=1, before=move)]
    folder = pull(ADDRESS)
    assert folder.path.name == first
    assert (folder.path / "MODEL_CARD.md").read_bytes() == published.commits[first]["MODEL_CARD.md"]


@pytest.mark.parametrize("where", ["HEAD .*config", "HEAD .*safetensors"])
def test_a_file_of_another_commit_is_refused(hub: StandInHub, published: Repository, where: str) -> None:
    hub.hub.faults = [Fault(where, headers={"X-Repo-Commit": "0" * 40})]
    with pytest.raises(DownloadError, match=rf"{ADDRESS}: the Hub was asked for .* answers with '0{{40}}'"):
        pull(ADDRESS)
    assert nothing_is_kept()


@pytest.mark.parametrize("sha", ["../../x", "", "main", "A" * 40, None])
def test_what_is_no_commit_is_refused(hub: StandInHub, published: Repository, sha: Any) -> None:
    body = json.dumps({"id": OWN, "sha": sha, "siblings": []}).encode()
    hub.hub.faults = [Fault("GET /api/models", body=body)]
    with pytest.raises(DownloadError, match="which is not its commit"):
        pull(ADDRESS)
    assert nothing_is_kept()


def test_cut_connections_are_resumed(hub: StandInHub, published: Repository, small_model: ModelFolder) -> None:
    size = small_model.weights.stat().st_size
    hub.storage.faults = [Fault("GET", times=3, cut_after=size // 4)]
    assert content(pull(ADDRESS))["model.safetensors"] == small_model.weights.read_bytes()
    ranges = [seen.headers.get("range") for seen in hub.storage.requests]
    assert ranges[0] is None
    assert len(ranges) > 3
    assert all(ranges[1:])


def test_what_was_received_is_kept_for_the_next_run(
    hub: StandInHub, published: Repository, small_model: ModelFolder
) -> None:
    half = small_model.weights.stat().st_size // 2
    hub.storage.faults = [Fault("GET", times=1, cut_after=half), Fault("GET", status=503)]
    with pytest.raises(DownloadError, match="are kept: run the command again"):
        pull(ADDRESS)
    assert nothing_is_kept()
    hub.storage.faults = []
    hub.forget()
    assert pull(ADDRESS).info.name == "shapes"
    (resumed,) = hub.storage.requests
    start = int(resumed.headers["range"].removeprefix("bytes=").removesuffix("-"))
    assert half - 2**16 <= start <= half  # a piece that was cut counts as not received


@pytest.mark.parametrize("file", ["model.safetensors", "config.yaml", "model.json"])
def test_wrong_bytes_are_refused(hub: StandInHub, published: Repository, file: str) -> None:
    right = published.commits[published.branches["main"]][file]
    wrong = right[:-1] + bytes([right[-1] ^ 1])
    server = hub.storage if file.endswith("safetensors") else hub.hub
    server.faults = [Fault(f"GET .*({file}|/object/)", body=wrong)]
    with pytest.raises(DownloadError, match="a different file than published: its hash should begin with"):
        pull(ADDRESS)
    assert nothing_is_kept()


@pytest.mark.parametrize("size", [1, 2**20, 2**40])
def test_another_length_than_was_told_is_refused(hub: StandInHub, published: Repository, size: int) -> None:
    hub.storage.faults = [Fault("GET", headers={"Content-Length": str(size)}, cut_after=0)]
    with pytest.raises(DownloadError, match=f"has {size} bytes; the published file has"):
        pull(ADDRESS)
    assert nothing_is_kept()


@pytest.mark.parametrize("file", ["model.safetensors", "config.yaml", "model.json", "MODEL_CARD.md"])
def test_a_file_that_is_too_large_is_not_fetched(hub: StandInHub, published: Repository, file: str) -> None:
    size = MOST_BYTES[file] + 1
    hub.hub.faults = [Fault(f"HEAD .*{file}", headers={"X-Linked-Size": str(size)})]
    with pytest.raises(DownloadError, match=f"{file} has {size} bytes; it may have at most {MOST_BYTES[file]}"):
        pull(ADDRESS)
    assert not [seen for seen in hub.asked if seen.startswith("GET") and "/api/" not in seen]
    assert nothing_is_kept()


def test_a_body_without_an_end_is_bounded(hub: StandInHub, published: Repository, small_model: ModelFolder) -> None:
    """Neither the metadata nor the content tells a size."""
    endless = Fault("GET", body=bytes(small_model.weights.stat().st_size + 2**20), headers={"Content-Length": ""})
    hub.storage.faults = [endless]
    with pytest.raises(DownloadError, match="delivers more than"):
        pull(ADDRESS)
    assert nothing_is_kept()


@pytest.mark.parametrize("file", ["model.safetensors", "config.yaml", "model.json"])
def test_a_missing_file_is_named(hub: StandInHub, published: Repository, file: str) -> None:
    files = dict(published.commits[published.branches["main"]])
    del files[file]
    published.commit(files)
    with pytest.raises(
        DownloadError, match=rf"lacks {file} at commit .* has 'pytorch_model.bin', but only safetensors"
    ):
        pull(ADDRESS)
    assert nothing_is_kept()


@pytest.mark.parametrize(
    ("file", "body", "message"),
    [
        ("model.safetensors", b"\x80\x04cos\nsystem\n", "cannot be read safely as safetensors"),
        ("config.yaml", b"MODEL: [", "config.yaml"),
        ("model.json", b"[]", "model.json: it must hold an object"),
        ("model.json", json.dumps({"name": "x", "version": "1", "categories": []}).encode(), "0 categories"),
        ("model.json", b"", "model.json: is not JSON"),
    ],
)
def test_files_that_are_no_model_are_not_kept(
    hub: StandInHub, published: Repository, file: str, body: bytes, message: str
) -> None:
    commit = published.commit({**published.commits[published.branches["main"]], file: body})
    with pytest.raises((CheckpointError, ConfigError), match=message) as caught:
        pull(ADDRESS)
    assert str(caught.value).startswith(f"{ADDRESS} at commit {commit}: ")
    assert str(home()) not in str(caught.value)
    assert nothing_is_kept()


def test_weights_of_another_network_are_not_kept(hub: StandInHub, published: Repository) -> None:
    other = GOLDEN.parent / "pointrend_coco80_landscape" / "config.yaml"
    categories = [{"id": number, "name": str(number)} for number in range(80)]
    info = json.dumps({"name": "x", "version": "1", "categories": categories}).encode()
    files = published.commits[published.branches["main"]]
    published.commit({**files, "config.yaml": other.read_bytes(), "model.json": info})
    with pytest.raises(CheckpointError, match="does not fit the model's configuration"):
        pull(ADDRESS)
    assert nothing_is_kept()


def test_a_kept_model_that_changed_is_refused_until_it_is_pulled_again(hub: StandInHub, published: Repository) -> None:
    path = pull(ADDRESS).path / "config.yaml"
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(CheckpointError, match=rf"config.yaml has changed .* pointrend weights pull {ADDRESS} --force"):
        ModelFolder.open(ADDRESS)
    assert pull(ADDRESS, force=True).path == path.parent


def test_the_longest_names_fit(hub: StandInHub, small_model: ModelFolder) -> None:
    name = f"{'o' * 96}/{'n' * 96}"
    hub.repositories[name] = Repository()
    hub.repositories[name].commit(content(small_model), "b" * 255)
    assert pull(f"hf://{name}@{'b' * 255}").info.name == "shapes"


@pytest.mark.parametrize("listing", [[{"rfilename": 3}], [{"rfilename": "../../x.bin"}], [{}], 3, [3], None])
def test_the_hubs_listing_decides_nothing(hub: StandInHub, published: Repository, listing: Any) -> None:
    """Only the three files and the card are asked for, whatever the repository says it has."""
    sha = published.branches["main"]
    body = json.dumps({"id": OWN, "sha": sha, "siblings": listing}).encode()
    hub.hub.faults = [Fault("GET /api/models", body=body)]
    del published.commits[sha]["model.json"]
    with pytest.raises(DownloadError, match=r"lacks model\.json|unusable"):
        pull(ADDRESS)
    assert {seen.split("/")[-1] for seen in hub.asked if "resolve" in seen} <= KEPT
    assert {path.name for path in home().rglob("*") if path.is_file()} <= {".shapes.lock"}
