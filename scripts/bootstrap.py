"""Make the virtual environment ``.venv`` with this project in it: ``python3 scripts/bootstrap.py EXTRA...``.

Runs with the standard library alone, on a machine that has nothing but Python. Does nothing when the environment
already fits. PyTorch is installed first: a wheel that pip already knows locally, else, on Linux without an NVIDIA
driver, PyTorch's CPU build (the registry's default carries gigabytes of CUDA), else whatever pip finds. The CPU
build's index is TORCH_INDEX; empty turns it off.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOG = VENV / "install.log"
STAMP = VENV / "installed"
OLDEST_PYTHON = (3, 11)
# No upper bound: whatever the first of the sources below has stays, since it fits the project's own requirement, which
# alone would let pip take the registry's newest build.
TORCH = "torch>=2.6"
TORCH_INDEX = os.environ.get("TORCH_INDEX", "https://download.pytorch.org/whl/cpu")
FREE_GIB_NEEDED = 4


def main(extras: list[str]) -> None:
    if sys.version_info < OLDEST_PYTHON:
        fail(f"Python {platform.python_version()} is too old; 3.11 or newer is needed. Name one: make run PYTHON=...")
    wanted = fingerprint(extras)
    if STAMP.exists() and wanted <= set(STAMP.read_text().split()):
        return
    free_gib = shutil.disk_usage(ROOT).free / 2**30
    if free_gib < FREE_GIB_NEEDED:
        fail(f"The disk has {free_gib:.1f} GiB free; the environment needs about {FREE_GIB_NEEDED}. Free some space.")
    if not (VENV / "bin" / "python").exists():
        say("Making the environment .venv")
        try:
            venv.create(VENV, with_pip=True)
        except (OSError, subprocess.CalledProcessError) as error:
            fail(f"The environment could not be made: {error}. On Debian and Ubuntu, install python3-venv.")
    LOG.write_text("")
    install_torch()
    say(f"Installing the project ({', '.join(extras)})")
    if not pip("install", "-e", f"{ROOT}[{','.join(extras)}]"):
        fail("The installation failed:\n" + "\n".join(LOG.read_text().splitlines()[-15:]) + f"\nThe whole log: {LOG}")
    STAMP.write_text("\n".join(sorted(wanted)))


def install_torch() -> None:
    """Install PyTorch from the first source that has it; what it depends on comes with the project."""
    say("Installing PyTorch")
    if pip("install", "--no-index", "--no-deps", TORCH):
        return
    wants_cpu_build = platform.system() == "Linux" and platform.machine() == "x86_64" and not shutil.which("nvidia-smi")
    if TORCH_INDEX and wants_cpu_build:
        pip("install", "--index-url", TORCH_INDEX, "--retries", "1", "--timeout", "20", TORCH)


def pip(*arguments: str) -> bool:
    """Run pip in the environment; its lines go to the log, and the newest to the terminal."""
    command = [str(VENV / "bin" / "python"), "-m", "pip", *arguments, "--disable-pip-version-check"]
    live = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns - 4
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        with LOG.open("a") as log:
            for line in process.stdout:
                log.write(line)
                if live:
                    print(f"\r\033[K  {line.strip()[:width]}", end="", flush=True)
    if live:
        print("\r\033[K", end="", flush=True)
    return process.returncode == 0


def fingerprint(extras: list[str]) -> set[str]:
    """What the environment was made from: one word an extra, different once the requirements change."""
    digest = hashlib.sha256((ROOT / "pyproject.toml").read_bytes() + str(ROOT).encode()).hexdigest()[:16]
    return {f"{extra}-{digest}" for extra in extras}


def say(message: str) -> None:
    print(f"{message} ...", flush=True)


def fail(message: str) -> None:
    sys.exit(f"bootstrap: {message}")


if __name__ == "__main__":
    main(sys.argv[1:])
