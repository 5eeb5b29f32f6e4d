"""Publishing a model on the Hugging Face Hub: to a local stand-in of its HTTP API, with real uploads to it."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from huggingface_hub import get_session
from typer.testing import CliRunner

from pointrend.cli.main import app
from pointrend.errors import CheckpointError, ConfigError, UploadError
from pointrend.weights.checkpoint import read_checkpoint, save_safetensors
from pointrend.weights.folder import ModelFolder
from pointrend.weights.hub import api
from pointrend.weights.hub.address import HubAddress
from pointrend.weights.hub.card import readme
from pointrend.weights.hub.push import push
from pointrend.weights.pull import pull
from tests.hub_server import TOKEN, Fault, Repository, StandInHub
from tests.weights.hub_cases import OWN, content

ADDRESS = HubAddress.parse(f"hf://{OWN}")
RUN = CliRunner()
# huggingface_hub's own use of httpx2, where it sends a file
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture
def token(hub: StandInHub, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    return TOKEN


@pytest.fixture
def own(small_model: ModelFolder, tmp_path: Path) -> Path:
    """A copy of the small model, to be changed."""
    return Path(shutil.copytree(small_model.path, tmp_path / "own"))


def header(text: str) -> dict[str, Any]:
    assert text.startswith("---\n")
    tree = yaml.safe_load(text.split("---\n")[1])
    assert isinstance(tree, dict)
    return tree


def test_pushed_pulled_and_loaded_it_is_the_same(hub: StandInHub, token: str, small_model: ModelFolder) -> None:
    pushed = push(small_model.path, ADDRESS)
    repository = hub.repositories[OWN]
    commit = repository.branches["main"]
    assert (pushed.address, pushed.changed, pushed.private) == (ADDRESS.at(commit), True, False)
    assert pushed.url == f"{hub.url}/{OWN}/commit/{commit}"
    assert len(repository.commits) == 2  # the Hub's own first one, and ours
    wanted = content(small_model)
    assert set(repository.commits[commit]) == {*wanted, "README.md", ".gitattributes"} - {"MODEL_CARD.md"}
    card = repository.commits[commit]["README.md"].decode()
    assert header(card) == {
        "license": "mit",
        "library_name": "pointrend-serve",
        "pipeline_tag": "image-segmentation",
        "tags": ["pointrend", "instance-segmentation"],
    }
    assert card.endswith("# shapes\n\nIt finds shapes.\n")

    folder = pull(str(ADDRESS))
    before, after = (read_checkpoint(model.weights) for model in (small_model, folder))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert (folder.info, folder.network) == (small_model.info, small_model.network)
    # Pushed again from there, the card's header is not doubled, and nothing has changed.
    again = push(folder.path, ADDRESS)
    assert (again.changed, again.address) == (False, pushed.address)


def test_the_weights_go_to_the_storage_without_the_token(
    hub: StandInHub, token: str, small_model: ModelFolder, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    push(small_model.path, ADDRESS)
    (put,) = hub.storage.requests
    assert put.method == "PUT"
    assert int(put.headers["content-length"]) == small_model.weights.stat().st_size
    assert "authorization" not in put.headers
    assert any(str(seen).endswith("/info/lfs/objects/batch") for seen in hub.hub.requests)
    assert any(str(seen).endswith("/info/lfs/verify") for seen in hub.hub.requests)
    assert not any("agent" in seen for seen in hub.asked)
    assert TOKEN not in caplog.text


def test_only_what_changed_is_uploaded(hub: StandInHub, token: str, own: Path) -> None:
    push(own, ADDRESS)
    hub.forget()
    info = json.loads((own / "model.json").read_text())
    (own / "model.json").write_text(json.dumps(info | {"version": "1.1"}))
    assert push(own, ADDRESS).changed
    assert hub.storage.requests == []
    assert pull(str(ADDRESS)).info.version == "1.1"


def test_a_branch_is_made_where_it_is_missing(hub: StandInHub, token: str, small_model: ModelFolder) -> None:
    for _ in range(2):
        push(small_model.path, ADDRESS.at("next/one"))
    repository = hub.repositories[OWN]
    assert set(repository.commits[repository.branches["main"]]) == {".gitattributes"}
    assert pull(f"{ADDRESS}@next/one").info.name == "shapes"


def test_a_private_repository(hub: StandInHub, token: str, small_model: ModelFolder) -> None:
    assert push(small_model.path, ADDRESS, private=True).private
    assert hub.repositories[OWN].private
    assert push(small_model.path, ADDRESS).private  # it stays so


def test_a_public_repository_does_not_get_what_was_to_be_private(
    hub: StandInHub, token: str, published: Repository, small_model: ModelFolder
) -> None:
    before = dict(published.commits)
    with pytest.raises(UploadError, match=r"already exists and is public, but --private was given"):
        push(small_model.path, ADDRESS, private=True)
    assert published.commits == before
    assert hub.storage.requests == []


def test_an_old_card_gives_way(hub: StandInHub, token: str, published: Repository, own: Path) -> None:
    assert "MODEL_CARD.md" in published.commits[published.branches["main"]]
    (own / "MODEL_CARD.md").write_text("# Newer\n")
    push(own, ADDRESS)
    files = published.commits[published.branches["main"]]
    assert "MODEL_CARD.md" not in files
    assert "evil.py" in files  # nobody's business
    assert (pull(str(ADDRESS)).path / "MODEL_CARD.md").read_text().endswith("# Newer\n")


@pytest.mark.parametrize("file", ["model.safetensors", "config.yaml", "model.json"])
def test_what_is_no_model_is_not_sent(hub: StandInHub, token: str, own: Path, file: str) -> None:
    (own / file).write_bytes(b"x" * 100)
    with pytest.raises((ConfigError, CheckpointError), match=file):
        push(own, ADDRESS)
    (own / file).unlink()
    with pytest.raises((ConfigError, CheckpointError), match=file):
        push(own, ADDRESS)
    assert hub.asked == []


def test_weights_that_do_not_fit_are_not_sent(hub: StandInHub, token: str, own: Path) -> None:
    text = (own / "config.yaml").read_text()
    assert "FC_DIM: 32" in text
    (own / "config.yaml").write_text(text.replace("FC_DIM: 32", "FC_DIM: 40"))
    with pytest.raises(CheckpointError, match="does not fit"):
        push(own, ADDRESS)
    assert hub.asked == []


def test_a_commit_is_no_place_to_push_to(hub: StandInHub, small_model: ModelFolder) -> None:
    with pytest.raises(ConfigError, match="names a commit"):
        push(small_model.path, ADDRESS.at("0" * 40))


@pytest.mark.parametrize("variable", ["POINTREND_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline(hub: StandInHub, small_model: ModelFolder, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "1")
    with pytest.raises(UploadError, match=f"{variable} forbids the network"):
        push(small_model.path, ADDRESS)
    assert hub.asked == []


def test_without_a_token_or_the_right(
    hub: StandInHub, small_model: ModelFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UploadError, match="No token is set here"):
        push(small_model.path, ADDRESS)
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(UploadError, match="does not accept the token") as caught:
        push(small_model.path, ADDRESS)
    assert "hf_wrong" not in str(caught.value)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with pytest.raises(UploadError, match="forbids it: You don't have the rights to create a model"):
        push(small_model.path, HubAddress.parse("hf://others/shapes"))


@pytest.mark.parametrize(
    ("server", "fault", "message"),
    [
        ("storage", Fault("PUT", status=403), "forbids it"),
        ("hub", Fault("batch", status=400), "answers 400"),
        ("hub", Fault("batch", body=b'{"objects": 3}'), "speaks the Hub's API"),
        ("hub", Fault("preupload", body=b"{}"), "speaks the Hub's API"),
        ("hub", Fault("validate", status=400, headers={"Content-Type": "application/json"}), "speaks the Hub's API"),
        ("hub", Fault("commit", status=500), "answers 500 .* Try again later"),
        ("hub", Fault("commit", status=412), "answers 412"),
        ("hub", Fault("commit", status=429, headers={"Retry-After": "7"}), "in 7 seconds"),
        ("hub", Fault("create", status=503), "answers 503"),
    ],
)
def test_what_the_hub_refuses_is_a_sentence(
    hub: StandInHub, token: str, published: Repository, own: Path, server: str, fault: Fault, message: str
) -> None:
    state = read_checkpoint(own / "model.safetensors")
    state[next(iter(state))] += 1
    save_safetensors(state, own / "model.safetensors")
    before = dict(published.commits)
    getattr(hub, server).faults = [fault]
    with pytest.raises(UploadError, match=message) as caught:
        push(own, ADDRESS)
    assert "signed" not in str(caught.value)
    assert published.commits == before


def test_an_upload_that_breaks_is_sent_again(hub: StandInHub, token: str, small_model: ModelFolder) -> None:
    hub.storage.faults = [Fault("PUT", times=1, status=500)]
    push(small_model.path, ADDRESS)
    assert [seen.method for seen in hub.storage.requests] == ["PUT", "PUT"]
    assert pull(str(ADDRESS)).info.name == "shapes"


@pytest.mark.parametrize("question", ["POST .*/commit/", "POST .*/preupload/", "POST .*/create"])
def test_a_hub_that_falls_silent_is_given_up(
    hub: StandInHub, token: str, small_model: ModelFolder, monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    monkeypatch.setattr(api, "UPLOAD_SECONDS", 0.3)
    released = threading.Event()
    hub.hub.faults = [Fault(question, before=lambda: released.wait(60))]
    try:
        with pytest.raises(UploadError, match="cannot be reached: it is silent"):
            push(small_model.path, ADDRESS)
    finally:
        released.set()


def test_the_librarys_client_is_as_it_was_after_a_push(hub: StandInHub, token: str, small_model: ModelFolder) -> None:
    before = get_session().timeout
    push(small_model.path, ADDRESS)
    assert get_session().timeout == before


def test_a_hub_that_is_down(hub: StandInHub, token: str, small_model: ModelFolder) -> None:
    hub.stop()
    with pytest.raises(UploadError, match="cannot be reached: there is no connection"):
        push(small_model.path, ADDRESS)


# The card.


@pytest.mark.parametrize(
    ("licence", "wanted"),
    [
        ("", None),
        ("MIT", "mit"),
        ("Apache-2.0", "apache-2.0"),
        ("CC BY-SA 3.0", "cc-by-sa-3.0"),
        ("cc_by_nc_4.0.", "cc-by-nc-4.0"),
        ("For research; ask us.", "other"),
    ],
)
def test_a_licence_is_told_by_the_hubs_name(own: Path, licence: str, wanted: str | None) -> None:
    info = json.loads((own / "model.json").read_text())
    (own / "model.json").write_text(json.dumps(info | {"licence": licence}))
    assert header(readme(ModelFolder.open(own))).get("license") == wanted


def test_a_header_of_the_cards_own_is_kept(own: Path) -> None:
    (own / "MODEL_CARD.md").write_text(
        "---\nlicense: cc0-1.0\ndatasets:\n- coco\ntags: [mine]\nlanguage: en\n---\n\n# Own\n"
    )
    text = readme(ModelFolder.open(own))
    tree = header(text)
    assert (tree["license"], tree["datasets"], tree["tags"], tree["language"]) == ("cc0-1.0", ["coco"], ["mine"], "en")
    assert tree["pipeline_tag"] == "image-segmentation"
    assert text.endswith("\n# Own\n")


def test_a_model_without_a_card_gets_a_plain_one(own: Path) -> None:
    (own / "MODEL_CARD.md").unlink()
    text = readme(ModelFolder.open(own))
    assert "# shapes 1.0" in text
    assert "square (1), disc (2), star (7)" in text


@pytest.mark.parametrize("card", [b"---\n[\n---\n", b"---\n- a\n---\n", b"\xff\xfe"])
def test_a_card_that_cannot_be_read_is_not_sent(hub: StandInHub, token: str, own: Path, card: bytes) -> None:
    (own / "MODEL_CARD.md").write_bytes(card)
    with pytest.raises(ConfigError, match=r"MODEL_CARD\.md"):
        push(own, ADDRESS)
    assert hub.asked == []


# The command line.


def test_the_command_line_pushes(hub: StandInHub, token: str, own: Path) -> None:
    done = RUN.invoke(app, ["weights", "push", str(own), str(ADDRESS), "--private", "--revision", "next"])
    assert done.exit_code == 0, done.output
    sha = hub.repositories[OWN].branches["next"]
    assert f"{hub.url}/{OWN}/commit/{sha} (private)" in done.output
    assert f"pointrend up --model {ADDRESS}@next, or, always this commit, --model {ADDRESS}@{sha}" in done.output
    again = RUN.invoke(app, ["weights", "push", str(own), f"{ADDRESS}@next"])
    assert f"Nothing has changed since {hub.url}/{OWN}/commit/{sha}" in again.output
    with pytest.raises(ConfigError, match="names one branch, and --revision 'main' another"):
        RUN.invoke(app, ["weights", "push", str(own), f"{ADDRESS}@next", "--revision", "main"], catch_exceptions=False)
