"""Write the image's locked dependencies: ``python scripts/lock.py``. Needs uv and the registry.

``requirements/image.txt`` holds what all images have, ``cpu.txt`` (x86-64), ``cpu-arm64.txt`` and ``cuda.txt`` PyTorch
and what else only one of them has, and ``quantise.txt`` what the CPU's needs besides while it is built; each with the
hashes of the files that may be installed. POINTREND_TORCH_WHEELS names the folder or the page with PyTorch's CPU build.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "requirements"
TORCH = "2.13.0"
ARM64_TORCH = "2.9.1"  # the last one whose build for arm64 in the registry is for CPUs, without CUDA's gigabytes
X86_64, ARM64 = "x86_64-manylinux_2_28", "aarch64-manylinux_2_35"  # OpenVINO's build for arm64 needs the latter's glibc
CPU_WHEELS = os.environ.get("POINTREND_TORCH_WHEELS", "https://download.pytorch.org/whl/cpu/torch/")
SERVED = ["serve", "page", "client", "telemetry"]
HEADER = "# Written by scripts/lock.py for CPython 3.11 on Linux; installed with pip --require-hashes.\n"
_ENTRY = re.compile(r"^(?=[a-zA-Z0-9])", re.MULTILINE)


def main() -> None:
    """Resolve everything at once, so that all files agree, and then each image from those versions."""
    cpu_torch = (f"torch=={TORCH}+cpu", "--find-links", CPU_WHEELS)
    everything = compiled([*SERVED, "openvino"], *cpu_torch)
    versions = "".join(entry.split(maxsplit=1)[0] + "\n" for name, entry in everything.items() if name != "torch")
    cpu = compiled([*SERVED, "openvino-runtime"], *cpu_torch, versions=versions)
    cuda = compiled(SERVED, f"torch=={TORCH}", versions=versions)
    arm64 = compiled([*SERVED, "openvino-runtime"], f"torch=={ARM64_TORCH}", versions=versions, platform=ARM64)
    shared = {name: entry for name, entry in cpu.items() if cuda.get(name) == entry == arm64.get(name)}
    write("image.txt", shared)
    write("cpu.txt", {name: entry for name, entry in cpu.items() if name not in shared})
    write("cpu-arm64.txt", {name: entry for name, entry in arm64.items() if name not in shared})
    write("cuda.txt", {name: entry for name, entry in cuda.items() if name not in shared})
    write("quantise.txt", {name: entry for name, entry in everything.items() if name not in cpu})


def compiled(
    extras: Sequence[str], torch: str, *options: str, versions: str = "", platform: str = X86_64
) -> dict[str, str]:
    """The locked requirements of some extras with one build of PyTorch, by name; ``versions`` are held to."""
    with tempfile.TemporaryDirectory() as scratch:
        override, constraint = Path(scratch) / "override.txt", Path(scratch) / "constraint.txt"
        override.write_text(torch)
        constraint.write_text(versions)
        command = ["uv", "pip", "compile", "pyproject.toml", "--generate-hashes", "--no-annotate", "--no-header"]
        command += [word for extra in extras for word in ("--extra", extra)]
        command += ["--python-version", "3.11", "--python-platform", platform, "--quiet"]
        command += ["--override", str(override), "--constraint", str(constraint), *options]
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
