"""What a folder holds: its images, and by name all else, so that nothing is skipped in silence."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pointrend.images.suffixes import has_image_suffix
from pointrend.system.run_lock import LOCK

_KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
Identity = tuple[int, int]
"""Of a file or folder, by whatever name: its device and inode."""


@dataclass(frozen=True, slots=True)
class NotRead:
    """A file or folder that was met and not read.

    Attributes:
        path: where it is.
        reason: why, as the rest of a sentence that begins with the path.
        missed: it is an image by its name, or may hold images: a run that could not read it has not succeeded.
    """

    path: str
    reason: str
    missed: bool = False


@dataclass(frozen=True, slots=True)
class Contents:
    """What was found.

    Attributes:
        images: paths of image files, sorted.
        not_read: all else, sorted.
    """

    images: list[Path]
    not_read: list[NotRead]


def walk(folder: Path, *, outside: Iterable[Path] = ()) -> Contents:
    """List a folder and all below it. Linked folders and files are followed, each under its own name, as
    ``find -L`` does; a link to a folder that it is in is not entered.

    Args:
        folder: where to begin.
        outside: folders that are not entered, by whatever name they are met: those of results.
    """
    closed = {identity for each in outside if (identity := identity_of(each)) is not None}
    images: list[Path] = []
    not_read: list[NotRead] = []
    root = identity_of(folder)
    left: list[tuple[Path, frozenset[Identity]]] = [(folder, frozenset() if root is None else frozenset({root}))]
    while left:
        current, chain = left.pop()
        try:
            with os.scandir(current) as entries:
                names = [entry.name for entry in entries]
        except OSError as error:
            not_read.append(NotRead(str(current), f"the folder cannot be read: {error.strerror}", missed=True))
            continue
        for name in names:
            if name == LOCK:
                continue
            path = current / name
            try:
                state = path.stat()
            except OSError as error:
                not_read.append(_unreachable(path, error))
                continue
            identity = (state.st_dev, state.st_ino)
            if not stat.S_ISDIR(state.st_mode):
                left_out = why_not(path, state.st_mode)
                if left_out is None:
                    images.append(path)
                else:
                    not_read.append(left_out)
            elif identity in closed:
                not_read.append(NotRead(str(path), "holds this command's results"))
            elif identity in chain:
                not_read.append(NotRead(str(path), "a link to a folder that it is in"))
            else:
                left.append((path, chain | {identity}))
    return Contents(sorted(images), sorted(not_read, key=lambda each: each.path))


def identity_of(path: Path) -> Identity | None:
    """What tells a file or folder from others; None where there is none."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_dev, state.st_ino


def why_not(path: Path, mode: int) -> NotRead | None:
    """Why a file is not read, by its name and mode; None where it is."""
    named = has_image_suffix(path.name)
    if not stat.S_ISREG(mode):
        return NotRead(str(path), not_regular(mode), missed=named)
    return None if named else NotRead(str(path), "not an image by its suffix")


def not_regular(mode: int) -> str:
    """What is in a file's place, by its mode."""
    return next((f"{kind}, not a file" for is_kind, kind in _KINDS if is_kind(mode)), "not a file")


def _unreachable(path: Path, error: OSError) -> NotRead:
    """An entry that cannot be looked at; without its state, a link to a folder looks like one to a file."""
    if os.path.islink(path):  # noqa: PTH114  # Path.is_symlink raises what stopped the caller
        try:
            target = os.readlink(path)  # noqa: PTH115  # as it is written, which Path would change
        except OSError:
            target = "?"
        return NotRead(str(path), f"a link to {target}, which cannot be read: {error.strerror}", missed=True)
    return NotRead(str(path), f"cannot be read: {error.strerror}", missed=True)
