"""Assemble a Hugging Face Space: ``python spaces/assemble.py FOLDER [--model demo]``. Needs nothing but Python and git.

The folder receives what the Dockerfile copies, the Dockerfile itself with the Space's model as its default, the Space's
card as its README, and ``.gitattributes`` for what is too large for plain git.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from string import Template

ROOT = Path(__file__).resolve().parent.parent
CARD = ROOT / "spaces" / "card.md"
ZOO = ROOT / "pointrend" / "weights" / "zoo.json"
PARTS = ("pointrend", "handler", "gradio_app", "gateway", "requirements", "scripts/image", "scripts/sbom")
FILES = ("Dockerfile", ".dockerignore", "pyproject.toml", "LICENSE")
ATTRIBUTES = "".join(f"{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in ("*.safetensors", "*.pkl"))
DEMO, DEFAULT = "demo", "coco-r50-3x"
_ARGUMENT = re.compile(r"^ARG MODEL=demo$", re.MULTILINE)
_HUB = re.compile(r"hf://([\w.-]+/[\w.-]+)(@[\w./-]+)?", re.ASCII)


def main(arguments: list[str]) -> None:
    """Assemble into an empty or new folder."""
    parser = argparse.ArgumentParser(prog="assemble", description="Assemble a Hugging Face Space.")
    parser.add_argument("folder", type=Path, help="An empty or new one.")
    parser.add_argument(
        "--model", default=DEFAULT, help="That the Space builds: demo, a published model or hf://OWNER/NAME@COMMIT."
    )
    asked = parser.parse_args(arguments)
    folder: Path = asked.folder
    about = describe(asked.model)
    if folder.exists() and any(folder.iterdir()):
        sys.exit(f"assemble: {folder} is not empty.")
    # What git knows: no caches, no archives, nothing that lies about.
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *PARTS, *FILES], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    dockerfile, count = _ARGUMENT.subn(f"ARG MODEL={asked.model}", (folder / "Dockerfile").read_text())
    assert count == 1, "the Dockerfile has one default model"
    (folder / "Dockerfile").write_text(dockerfile)
    (folder / "README.md").write_text(Template(CARD.read_text()).substitute(model=about))
    (folder / ".gitattributes").write_text(ATTRIBUTES)
    print(f"{folder}: {sum(path.stat().st_size for path in folder.rglob('*') if path.is_file()) / 2**20:.0f} MiB")


def describe(model: str) -> str:
    """What the Space's card says of its model and its terms; the program ends where there is no such model."""
    if model == DEMO:
        return (
            "The model is this project's small demo model; `pointrend/weights/demo/MODEL_CARD.md` says what it knows "
            "and its terms."
        )
    if hub := _HUB.fullmatch(model):
        return f"The model is [{hub[1]}](https://huggingface.co/{hub[1]}); its card says what it knows and its terms."
    zoo = json.loads(ZOO.read_text(encoding="utf-8"))
    for entry in zoo["models"]:
        if entry["name"] == model:
            dataset = zoo["datasets"][entry["dataset"]]
            return (
                f"The model is {model}: {entry['kind']} with a {entry['backbone']}-FPN, of detectron2's model zoo,\n"
                f"trained on {dataset['title']} ({len(dataset['categories'])} categories).\n"
                f"Weights: {zoo['licence']}. Data: {dataset['terms']}."
            )
    names = ", ".join(entry["name"] for entry in zoo["models"])
    sys.exit(f"assemble: --model is {model!r}; it may be {DEMO}, {names}, or hf://OWNER/NAME@COMMIT.")


if __name__ == "__main__":
    main(sys.argv[1:])
