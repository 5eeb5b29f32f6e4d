"""Writing files whole or not at all: what a killed run leaves is either complete or not there."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path


def write_file(path: Path, content: bytes | str) -> None:
    """Write a file by way of a temporary one beside it; its folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    partial = _partial(path)
    try:
        partial.write_bytes(data)
        partial.replace(path)
    except OSError:
        _discard(partial)
        raise


def write_folder(path: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """Write a folder of files in the same way; what was in it before goes."""
    partial = _partial(path)
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        for name, content in files:
            (partial / name).write_bytes(content)
        shutil.rmtree(path, ignore_errors=True)
        partial.replace(path)
    except OSError:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def link_or_copy(path: Path, original: Path) -> None:
    """Let ``path`` be the original's content: by a link, or, where the file system has none, by a copy."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial(path)
    try:
        partial.unlink(missing_ok=True)
        try:
            partial.symlink_to(original)
        except OSError:
            shutil.copyfile(original, partial)
        partial.replace(path)
    except OSError:
        _discard(partial)
        raise


def _partial(path: Path) -> Path:
    """The temporary name of a file: of one length, however long its name, and no result's name (see ``names``)."""
    return path.with_name(f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}.partial")


def _discard(partial: Path) -> None:
    with contextlib.suppress(OSError):  # the next attempt writes over it
        partial.unlink(missing_ok=True)
