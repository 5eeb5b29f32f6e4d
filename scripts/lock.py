"""Write the image's locked dependencies: ``python scripts/lock.py``. Needs uv and the registry.

``requirements/image.txt`` holds all but PyTorch, ``torch-cpu.txt`` and ``torch-cuda.txt`` PyTorch with what it alone
needs; each with the hashes of the files that may be installed. POINTREND_TORCH_WHEELS names the folder or the page with
PyTorch's CPU build.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "requirements"
TORCH = "2.13.0"
CPU_WHEELS = os.environ.get("POINTREND_TORCH_WHEELS", "https://download.pytorch.org/whl/cpu/torch/")
HEADER = "# Written by scripts/lock.py for CPython 3.11 on x86-64 Linux; installed with pip --require-hashes.\n"
_ENTRY = re.compile(r"^(?=[a-zA-Z0-9])", re.MULTILINE)


def main() -> None:
    """Resolve both builds, and write what they share once."""
    cpu, cuda = compiled(f"torch=={TORCH}+cpu", "--find-links", CPU_WHEELS), compiled(f"torch=={TORCH}")
    shared = {name: entry for name, entry in cpu.items() if cuda.get(name) == entry}
    write("image.txt", shared)
    write("torch-cpu.txt", {name: entry for name, entry in cpu.items() if name not in shared})
    write("torch-cuda.txt", {name: entry for name, entry in cuda.items() if name not in shared})


def compiled(torch: str, *options: str) -> dict[str, str]:
    """The locked requirements with one build of PyTorch, by name."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as override:
        override.write(torch)
        override.flush()
        command = ["uv", "pip", "compile", "pyproject.toml", "--extra", "serve", "--extra", "page", "--generate-hashes"]
        command += ["--python-version", "3.11", "--python-platform", "x86_64-manylinux_2_28", "--no-annotate"]
        command += ["--no-header", "--quiet", "--override", override.name, *options]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"lock: uv failed with status {done.returncode}.")
    entries = [entry for entry in _ENTRY.split(done.stdout) if "==" in entry]
    return {entry.split("==", 1)[0]: entry for entry in entries}


def write(name: str, entries: dict[str, str]) -> None:
    """Write one file."""
    (FOLDER / name).write_text(HEADER + "".join(entries[key] for key in sorted(entries)))


if __name__ == "__main__":
    main()
