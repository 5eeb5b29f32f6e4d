"""The Space's folder, as the script assembles it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pointrend.weights import zoo

ROOT = Path(__file__).resolve().parents[2]
PLAIN_GIT_LIMIT = 10 * 2**20  # beyond it, a Space refuses a file that is not in LFS


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("space") / "new"
    subprocess.run([sys.executable, ROOT / "spaces" / "assemble.py", folder], check=True, capture_output=True)
    return folder


def test_the_card_begins_as_a_space_wants_it(space: Path) -> None:
    _, front_matter, text = (space / "README.md").read_text().split("---\n", 2)
    card = yaml.safe_load(front_matter)
    assert card["sdk"] == "docker"
    assert card["app_port"] == 7860
    assert card["license"] == "apache-2.0"
    assert len(card["short_description"]) <= 60
    assert text.strip().startswith("# PointRend")


def test_large_files_are_named_for_lfs(space: Path) -> None:
    patterns = [line.split()[0] for line in (space / ".gitattributes").read_text().splitlines()]
    large = [path for path in space.rglob("*") if path.is_file() and path.stat().st_size > PLAIN_GIT_LIMIT]
    weights = list(space.rglob("*.safetensors"))
    assert weights
    assert all(any(path.match(pattern) for pattern in patterns) for path in (*large, *weights))


def test_it_holds_what_the_dockerfile_copies_and_nothing_else(space: Path) -> None:
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert all((space / name).exists() for name in let_through)
    roots = {name.split("/")[0] for name in let_through}
    assert {path.name for path in space.iterdir()} == roots | {"Dockerfile", ".dockerignore", ".gitattributes"}
    assert not list(space.rglob("__pycache__"))


def assembled(folder: Path, *options: str) -> tuple[str, str]:
    """The default model of the Dockerfile, and the card."""
    command: list[str | Path] = [sys.executable, ROOT / "spaces" / "assemble.py", *options, folder]
    subprocess.run(command, check=True, capture_output=True)
    (model,) = re.findall(r"^ARG MODEL=(.*)$", (folder / "Dockerfile").read_text(), re.MULTILINE)
    return model, (folder / "README.md").read_text()


def test_the_default_is_the_published_r50_with_its_terms(space: Path) -> None:
    original, changed = (ROOT / "Dockerfile").read_text(), (space / "Dockerfile").read_text()
    assert changed == original.replace("ARG MODEL=demo\n", "ARG MODEL=coco-r50-3x\n")
    model, card = zoo.find("coco-r50-3x"), (space / "README.md").read_text()
    assert f"{model.kind} with a {model.backbone}-FPN" in card
    assert model.licence in card
    assert model.terms in card


def test_one_switch_goes_back_to_the_demo(tmp_path: Path) -> None:
    model, card = assembled(tmp_path / "space", "--model", "demo")
    assert model == "demo"
    assert "pointrend/weights/demo/MODEL_CARD.md" in card
    assert (tmp_path / "space" / "Dockerfile").read_text() == (ROOT / "Dockerfile").read_text()


def test_a_model_of_the_hub(tmp_path: Path) -> None:
    model, card = assembled(tmp_path / "space", "--model", "hf://ada/shapes@v1")
    assert model == "hf://ada/shapes@v1"
    assert "[ada/shapes](https://huggingface.co/ada/shapes)" in card


@pytest.mark.parametrize("model", ["coco-r50", "", "hf://ada", "demo\nRUN id", "hf://ada/shapes; id"])
def test_an_unknown_model_is_refused(tmp_path: Path, model: str) -> None:
    command: list[str | Path] = [sys.executable, ROOT / "spaces" / "assemble.py", "--model", model, tmp_path / "space"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert f"--model is {model!r}; it may be demo, coco-r50-1x, " in done.stderr
    assert not (tmp_path / "space").exists()


def test_a_folder_with_something_in_it_is_left_alone(space: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "spaces" / "assemble.py", space], check=False, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "is not empty" in done.stderr
