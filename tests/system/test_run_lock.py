"""One run at a time in an output folder."""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pointrend.errors import OutputError
from pointrend.predict.walk import walk
from pointrend.system.run_lock import LOCK, locked

HOLDER = """
import os, sys, time
from pathlib import Path
from pointrend.system.run_lock import locked
with locked(Path(sys.argv[1]), "--out"):
    child = 1
    if sys.argv[2] == "fork":
        begun, tell = os.pipe()
        child = os.fork()
        if not child:
            os.write(tell, b".")
            time.sleep(600)
        os.read(begun, 1)  # until then it holds the lock too
    print(child, flush=True)
    sys.stdin.read()
"""
AS_NOBODY = """
import json, os, sys
from pathlib import Path
from pointrend.errors import OutputError
from pointrend.predict.walk import walk
from pointrend.system.outputs import check_folder
from pointrend.system.run_lock import locked

os.setgroups([])
os.setgid(65534)
os.setuid(65534)
place = Path(sys.argv[1])

def error(action):
    try:
        action()
    except OutputError as error:
        return str(error)
    return ""

def lock(folder):
    with locked(folder, "--out"):
        pass

told = {
    name: [error(lambda: check_folder(place / name, "--out")), error(lambda: lock(place / name))]
    for name in ("closed", "open")
}
told["photos"] = [[each.path, each.reason] for each in walk(place / "photos").not_read]
print(json.dumps(told))
"""
COMMANDS = [
    (["predict", "{there}", "--out", "{out}"], "--out"),
    (["batch", "{there}", "{out}", "--form", "jsonl"], "OUTPUT"),
    (["eval", "--data", "{there}", "--out", "{out}"], "--out"),
    (["train", "small-rcnn", "--data", "{there}", "--out", "{out}"], "--out"),
]


@pytest.fixture
def hold(tmp_path):
    """Starts a process that holds the lock of a folder."""
    started = []

    def start(folder: Path, kind: str = "plain") -> tuple[subprocess.Popen[str], int]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(folder), kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        return process, int(process.stdout.readline())

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.parametrize(("command", "option"), COMMANDS, ids=lambda value: value[0] if isinstance(value, list) else "")
def test_a_second_run_in_one_folder_is_refused(tmp_path, hold, command, option):
    out = tmp_path / "out"
    there = tmp_path / "there"
    there.mkdir()
    (there / "a.png").write_bytes(b"")
    process, _ = hold(out)
    words = [word.format(there=there, out=out) for word in command]
    done = subprocess.run([sys.executable, "-m", "pointrend", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"pointrend: {option}: {out} is in use by another run (process {process.pid} on ")
    assert done.stderr.endswith(". Wait until that ends, stop it, or choose another folder.\n")
    assert [path.name for path in out.iterdir()] == [LOCK]


def test_the_lock_of_a_killed_run_is_gone_with_it(tmp_path, hold):
    process, child = hold(tmp_path, "fork")
    with pytest.raises(OutputError, match="in use"), locked(tmp_path, "--out"):
        pass
    process.kill()
    process.wait()
    try:
        assert (tmp_path / LOCK).exists()
        with locked(tmp_path, "--out"):  # though a process that it forked off lives on
            os.kill(child, 0)
    finally:
        os.kill(child, signal.SIGKILL)
    assert not list(tmp_path.iterdir())


def test_a_run_ends_its_lock_and_leaves_no_empty_folders(tmp_path):
    with locked(tmp_path / "a" / "b", "--out"):
        assert walk(tmp_path).not_read == []
        with pytest.raises(OutputError, match=f"process {os.getpid()} on"), locked(tmp_path / "a" / "b", "--out"):
            pass
    assert not list(tmp_path.iterdir())
    with locked(tmp_path / "a", "--out"):
        (tmp_path / "a" / "result").touch()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["result"]


def test_a_lock_that_tells_nothing_is_still_one(tmp_path):
    with (tmp_path / LOCK).open("wb") as file:
        file.write(b"\xff{")
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(OutputError, match=r"in use by another run\. Wait"), locked(tmp_path, "--out"):
            pass


@pytest.mark.skipif(os.geteuid() != 0, reason="Only root can become another user.")
def test_another_user_meets_folders_and_locks_as_their_modes_say():
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        place.chmod(0o755)
        for name, mode in {"closed": 0o555, "open": 0o777, "photos": 0o755, "photos/secret": 0o700}.items():
            (place / name).mkdir()
            (place / name).chmod(mode)
        (place / "open" / LOCK).touch(0o644)  # left by root's killed run
        (place / "photos" / "a.png").touch(0o600)
        done = subprocess.run([sys.executable, "-c", AS_NOBODY, folder], capture_output=True, text=True, check=True)
        told = json.loads(done.stdout)
        assert (
            told["closed"] == [f"--out: {place}/closed cannot be written: Permission denied. Choose another place."] * 2
        )
        assert told["open"] == ["", ""]
        assert told["photos"] == [[f"{place}/photos/secret", "the folder cannot be read: Permission denied"]]
        with (place / "open" / LOCK).open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            done = subprocess.run([sys.executable, "-c", AS_NOBODY, folder], capture_output=True, text=True, check=True)
        assert "in use by another run" in json.loads(done.stdout)["open"][1]


def test_a_link_in_the_locks_place_is_not_followed(tmp_path):
    (tmp_path / "kept").write_text("kept")
    (tmp_path / LOCK).symlink_to("kept")
    with pytest.raises(OutputError, match="cannot be written"), locked(tmp_path, "--out"):
        pass
    assert (tmp_path / "kept").read_text() == "kept"


def test_without_locks_the_run_goes_on_and_says_so(tmp_path, monkeypatch, caplog):
    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)  # as a network folder without a lock service answers
    with caplog.at_level(logging.WARNING), locked(tmp_path, "--out"):
        pass
    assert caplog.messages == [
        f"{tmp_path} cannot be locked (No locks available): let no other run write there at the same time."
    ]
