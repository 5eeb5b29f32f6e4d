"""The Dockerfile under hadolint, and its locked dependencies against what the project asks for."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
ENTRY = re.compile(r"^([a-z0-9.-]+)==(\S+) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE)


def test_hadolint_finds_nothing() -> None:
    program = Path(sys.executable).parent / "hadolint"
    done = subprocess.run([program, "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def locked(*names: str) -> dict[str, str]:
    """Versions by name; every line of the files is part of an entry with hashes."""
    versions: dict[str, str] = {}
    for name in names:
        text = (ROOT / "requirements" / name).read_text()
        assert ENTRY.sub("", text).splitlines() == text.splitlines()[:1]
        versions |= {match[1]: match[2] for match in ENTRY.finditer(text)}
    return versions


@pytest.mark.parametrize("build", ["cpu.txt", "cpu-arm64.txt", "cuda.txt"])
def test_the_lock_holds_what_the_project_asks_for(build: str) -> None:
    versions = locked("image.txt", build)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    texts = [*project["dependencies"], *extras["serve"], *extras["page"]]
    if build.startswith("cpu"):
        versions |= locked("quantise.txt")
        texts += [*extras["openvino-runtime"], *extras["openvino"][1:]]  # whose first is the one before
    for text in texts:
        requirement = Requirement(text)
        assert requirement.specifier.contains(versions[requirement.name.replace("_", "-").lower()]), text


def test_images_of_both_processors_differ_by_pytorch_alone() -> None:
    x86, arm64 = locked("cpu.txt"), locked("cpu-arm64.txt")
    assert arm64.keys() == x86.keys()
    assert {name for name in x86 if arm64[name] != x86[name]} == {"torch"}
    assert not [name for name in arm64 if name.startswith(("nvidia", "cuda", "triton"))]


def test_the_dockerfile_copies_only_what_the_ignore_file_lets_through() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert {name for names in copied for name in names.split()} == let_through


def test_the_base_is_debian() -> None:
    text = (ROOT / "Dockerfile").read_text()
    names = set(re.findall(r"^FROM \S+ AS (\S+)$", text, re.MULTILINE))
    bases = re.findall(r"^(?:FROM|ARG BASE=)\s*(\S+)", text, re.MULTILINE)
    assert {base for base in bases if base not in names} == {"docker.io/library/debian:bookworm-slim", "${BASE}"}
