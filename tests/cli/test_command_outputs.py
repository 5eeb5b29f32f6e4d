"""Places for results that cannot be written: one sentence, before any work, in every command that has one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pointrend.errors import OutputError
from pointrend.system.outputs import check_file, check_folder


@pytest.mark.parametrize(
    ("command", "option"),
    [
        (["predict", "{there}", "--out", "{place}"], "--out"),
        (["batch", "{there}", "{place}"], "OUTPUT"),
        (["archive", "--destination", "{place}"], "--destination"),
        (["eval", "--data", "{there}", "--out", "{place}"], "--out"),
        (["train", "demo", "--data", "{there}", "--out", "{place}"], "--out"),
        (["bench", "--json", "{place}"], "--json"),
        (["bench", "--markdown", "{place}"], "--markdown"),
        (["weights", "convert", "{there}", "{there}", "{there}", "{place}"], "DESTINATION"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else value,
)
def test_every_command_says_so_in_a_sentence(tmp_path: Path, command: list[str], option: str) -> None:
    (tmp_path / "file").write_text("a file")
    (tmp_path / "there").mkdir()
    place = tmp_path / "file" / "below"
    words = [word.format(there=tmp_path / "there", place=place) for word in command]
    done = subprocess.run([sys.executable, "-m", "pointrend", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (f"pointrend: {option}: {place} cannot be written: Not a directory. Choose another place.\n")


def test_a_check_leaves_nothing_and_changes_nothing(tmp_path: Path) -> None:
    check_folder(tmp_path / "a" / "b", "--out")
    assert not list(tmp_path.iterdir())
    (tmp_path / "kept").mkdir()
    check_folder(tmp_path / "kept", "--out")
    check_file(tmp_path / "new.json", "--json")
    (tmp_path / "old.json").write_text("old")
    check_file(tmp_path / "old.json", "--json")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept", "old.json"]
    assert (tmp_path / "old.json").read_text() == "old"
    with pytest.raises(OutputError, match="is a folder"):
        check_file(tmp_path / "kept", "--json")
    with pytest.raises(OutputError, match="File exists"):
        check_folder(tmp_path / "old.json", "--out")
