"""What a folder holds: images by every suffix that the decoder reads, links, loops, and what is no image, by name."""

from __future__ import annotations

import errno
import os
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pointrend.images.formats import FORMATS, SUFFIXES
from pointrend.images.suffixes import has_image_suffix
from pointrend.predict import find_images
from pointrend.predict.images import FoundImages, ImagesError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    for name in ("a.jpg", "sub/b.png"):
        Image.new("RGB", (2, 2)).save(tmp_path / "in" / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "in"


def names(found: FoundImages) -> list[str]:
    return [each.file_name for each in found.images]


def reasons(found: FoundImages) -> dict[str, str]:
    return {each.path: each.reason for each in found.not_read}


def test_every_suffix_of_a_format_that_is_read_is_in_the_table() -> None:
    registered = {suffix for suffix, name in Image.registered_extensions().items() if name in FORMATS}
    assert registered - set(SUFFIXES) <= {".avifs", ".heics", ".heifs"}  # sequences
    assert has_image_suffix("a.JFIF")
    assert not has_image_suffix("jpg")


def test_every_suffix_is_read_in_a_folder(folder: Path) -> None:
    for suffix in SUFFIXES:
        (folder / f"x{suffix.upper()}").write_bytes(b"x")
    found = find_images(["in"])
    assert len(found.images) == 2 + len(SUFFIXES)
    assert not found.not_read


def test_links_are_followed_under_their_own_names_and_loops_are_not_entered(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    Image.new("RGB", (2, 2)).save(tmp_path / "elsewhere" / "c.jpg")
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    (folder / "again").symlink_to("sub")
    (folder / "same.jpg").symlink_to("a.jpg")
    (folder / "sub" / "up").symlink_to("..")
    (folder / "self").symlink_to("self")
    (folder / "gone.jpg").symlink_to("nothing")
    found = find_images(["in"])
    assert names(found) == ["a.jpg", "again/b.png", "link/c.jpg", "same.jpg", "sub/b.png"]
    assert reasons(found) == {
        "in/again/up": "a link to a folder that it is in",
        "in/sub/up": "a link to a folder that it is in",
        "in/self": "a link to self, which cannot be read: Too many levels of symbolic links",
        "in/gone.jpg": "a link to nothing, which cannot be read: No such file or directory",
    }
    assert {each.path for each in found.not_read if each.missed} == {"in/self", "in/gone.jpg"}
    assert names(find_images(["in/**/*.jpg"])) == ["a.jpg", "link/c.jpg", "same.jpg"]


def test_folders_that_link_to_each_other_end(folder: Path) -> None:
    for name in ("x", "y"):
        (folder / name).mkdir()
        Image.new("RGB", (2, 2)).save(folder / name / "1.jpg")
    (folder / "x" / "y").symlink_to("../y")
    (folder / "y" / "x").symlink_to("../x")
    assert names(find_images(["in"])) == ["a.jpg", "sub/b.png", "x/1.jpg", "x/y/1.jpg", "y/1.jpg", "y/x/1.jpg"]


def test_what_is_no_file_is_named_and_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "pipe.jpg")
    (folder / "null.png").symlink_to("/dev/null")
    (folder / "folder.jpg").mkdir()
    (folder / "notes.txt").write_text("no image")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("in/s.sock")
        found = find_images(["in"])
    assert names(found) == ["a.jpg", "sub/b.png"]
    assert reasons(found) == {
        "in/pipe.jpg": "a named pipe, not a file",
        "in/null.png": "a device, not a file",
        "in/s.sock": "a socket, not a file",
        "in/notes.txt": "not an image by its suffix",
    }
    with pytest.raises(ImagesError, match="a named pipe, not a file"):
        find_images(["in/pipe.jpg"])


def test_a_folder_that_cannot_be_read_is_named(folder: Path) -> None:
    """Its path is longer than the system takes, which holds for root too."""
    deep = os.open("in", os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=deep)
        below = os.open("d" * 250, os.O_RDONLY, dir_fd=deep)
        os.close(deep)
        deep = below
    os.close(deep)
    found = find_images(["in"])
    assert names(found) == ["a.jpg", "sub/b.png"]
    [missed] = [each for each in found.not_read if each.missed]
    assert "File name too long" in missed.reason
    shutil.rmtree(folder)


def test_an_unreadable_folder_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "sub").chmod(0)
    if os.access(folder / "sub", os.R_OK):  # for root, who reads every folder, the system's refusal is put in its place
        listed = os.scandir

        def refused(path: str) -> Any:
            if Path(os.fsdecode(path)).name == "sub":
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
            return listed(path)

        monkeypatch.setattr(os, "scandir", refused)
    try:
        found = find_images(["in"])
    finally:
        (folder / "sub").chmod(0o755)
    assert names(found) == ["a.jpg"]
    assert reasons(found) == {"in/sub": "the folder cannot be read: Permission denied"}


def test_results_are_named_as_such_by_whatever_path(folder: Path, tmp_path: Path) -> None:
    (folder / "out" / "png").mkdir(parents=True)
    Image.new("RGB", (2, 2)).save(folder / "out" / "png" / "a.png")
    (folder / "linked").symlink_to("out/png")
    outside = [tmp_path / "in" / "out" / "png"]
    found = find_images(["in"], outside=outside)
    assert names(found) == ["a.jpg", "sub/b.png"]
    assert set(reasons(found)) == {"in/out/png", "in/linked"}
    with pytest.raises(ImagesError, match="one of this command's results"):
        find_images(["in/linked/a.png"], outside=outside)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("in/**/[ab].*", ["a.jpg", "sub/b.png"]),
        ("in/**", ["a.jpg", "sub/b.png"]),
        ("in/**/[!a].p?g", ["sub/b.png"]),
        ("**/sub/*.png", ["in/sub/b.png"]),
    ],
)
def test_globs_at_any_depth(folder: Path, pattern: str, expected: list[str]) -> None:
    (folder / ".hidden").mkdir()
    Image.new("RGB", (2, 2)).save(folder / ".hidden" / "b.png")
    assert names(find_images([pattern])) == expected


def test_a_glob_names_what_it_matches_and_does_not_read(folder: Path) -> None:
    (folder / "notes.txt").write_text("no image")
    assert reasons(find_images(["in/*"])) == {
        "in/notes.txt": "not an image by its suffix",
        "in/sub": "a folder; name it, or use **, to read what it holds",
    }
    assert not find_images(["in/*", "in/notes.txt", "in/sub"]).not_read[1:]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("", "An empty argument"),
        ("~no-such-user-here/x.jpg", "no such user"),
        ("x" * 300, "File name too long"),
        ("gone\udce9\n.jpg", r"gone\\xe9\\n.jpg names no image"),
    ],
)
def test_arguments_that_are_refused_in_a_sentence(folder: Path, argument: str, message: str) -> None:
    with pytest.raises(ImagesError, match=message):
        find_images(["in", argument])
