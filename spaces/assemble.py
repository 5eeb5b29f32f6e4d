"""Assemble a Hugging Face Space: ``python spaces/assemble.py FOLDER``. Needs nothing but Python and git.

The folder receives what the Dockerfile copies, the Dockerfile itself, the Space's card as its README, and
``.gitattributes`` for what is too large for plain git.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CARD = ROOT / "spaces" / "card.md"
PARTS = ("pointrend", "handler", "gradio_app", "gateway", "requirements", "scripts/sbom")
FILES = ("Dockerfile", ".dockerignore", "pyproject.toml", "LICENSE")
ATTRIBUTES = "".join(f"{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in ("*.safetensors", "*.pkl"))


def main(arguments: list[str]) -> None:
    """Assemble into an empty or new folder."""
    if len(arguments) != 1:
        sys.exit("usage: python spaces/assemble.py FOLDER")
    folder = Path(arguments[0])
    if folder.exists() and any(folder.iterdir()):
        sys.exit(f"assemble: {folder} is not empty.")
    # What git knows: no caches, no archives, nothing that lies about.
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *PARTS, *FILES], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    shutil.copyfile(CARD, folder / "README.md")
    (folder / ".gitattributes").write_text(ATTRIBUTES)
    print(f"{folder}: {sum(path.stat().st_size for path in folder.rglob('*') if path.is_file()) / 2**20:.0f} MiB")


if __name__ == "__main__":
    main(sys.argv[1:])
