"""Packages that leave an image which has no pip."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from scripts.image import uninstall
from scripts.image.trim import size

FILES = (
    "bird/__init__.py",
    "bird/wing/feather.py",
    "bird-1.0.dist-info/METADATA",
    "bird-1.0.dist-info/RECORD",
    "../bin/bird",
)
RECORD = "".join(f"{name},,\n" for name in FILES)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages: bird, with bytecode, and nest, whose module lies in bird's folder."""
    folder = tmp_path / "site"
    for name in ("bird/__init__.py", "bird/wing/feather.py", "bird/egg.py", "other.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    for name in ("bird/__pycache__/__init__.cpython-311.pyc", "bird/wing/__pycache__/feather.cpython-311.pyc"):
        (folder / name).parent.mkdir()
        (folder / name).write_bytes(b"x" * 2**20)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "bird").write_text("#!/bin/sh")
    for name, record in (("bird", RECORD), ("nest", "bird/egg.py,,\n"), ("shadow", "")):
        (folder / f"{name}-1.0.dist-info").mkdir()
        (folder / f"{name}-1.0.dist-info" / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        )
        (folder / f"{name}-1.0.dist-info" / "RECORD").write_text(record)
    monkeypatch.setattr(sys, "path", [str(folder)])
    return folder


def test_all_of_a_package_goes_and_nothing_of_others(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    uninstall.main(["bird"])
    assert sorted(path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()) == [
        "bird/egg.py",
        "nest-1.0.dist-info/METADATA",
        "nest-1.0.dist-info/RECORD",
        "other.py",
        "shadow-1.0.dist-info/METADATA",
        "shadow-1.0.dist-info/RECORD",
    ]
    assert not (site / "bird" / "wing").exists()
    assert not (site.parent / "bin" / "bird").exists()
    assert "uninstall: bird, 2 MiB" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "message"), [("ostrich", "ostrich is not installed"), ("shadow", "no list of its files")]
)
def test_what_cannot_be_removed_says_so(site: Path, name: str, message: str) -> None:
    before = size(site)
    with pytest.raises(SystemExit, match=message):
        uninstall.main([name])
    assert size(site) == before
