"""Writing files whole or not at all: what a killed run leaves is either complete or not there."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path


def write_file(path: Path, content: bytes | str) -> None:
    """Write a file by way of a temporary one beside it; its folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    # The folder's other writers, if any, are other images: the name says whose it is.
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(data)
    partial.replace(path)


def write_folder(path: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """Write a folder of files in the same way; what was in it before goes."""
    partial = path.with_name(f".{path.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for name, content in files:
        (partial / name).write_bytes(content)
    shutil.rmtree(path, ignore_errors=True)
    partial.replace(path)


def link_or_copy(path: Path, original: Path) -> None:
    """Let ``path`` be the original's content: by a link, or, where the file system has none, by a copy."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    try:
        path.symlink_to(original)
    except OSError:
        shutil.copyfile(original, path)
