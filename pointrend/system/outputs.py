"""Whether results can be written where they are asked for, found out before the work for them begins."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from pointrend.errors import OutputError
from pointrend.plain_text import escaped


def check_folder(folder: Path, option: str) -> None:
    """Write a file in a folder, made if necessary, and remove both again: the file system has the last word.

    Args:
        folder: where results are to go.
        option: what named it, such as ``--out``; the error begins with it.

    Raises:
        OutputError: the folder cannot be made or written.
    """
    made: list[Path] = []
    try:
        missing = folder.absolute()
        while not os.path.lexists(missing):
            made.append(missing)
            missing = missing.parent
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0")
    except OSError as error:
        raise unwritable(option, folder, error) from error
    finally:
        for each in made:
            try:
                each.rmdir()
            except OSError:  # not made, or in use by now
                break


def check_file(path: Path, option: str) -> None:
    """Check that a file can be written or replaced; its content is not touched.

    Raises:
        OutputError: it is a folder, or its folder is missing or cannot be written.
    """
    if path.is_dir():
        raise OutputError(f"{option}: {escaped(str(path))} is a folder. Name a file.")
    try:
        existed = os.path.lexists(path)
        with path.open("ab"):
            pass
        if not existed:
            path.unlink()
    except OSError as error:
        raise unwritable(option, path, error) from error


def unwritable(option: str, path: Path, error: OSError) -> OutputError:
    """The error of a place that the system cannot write."""
    reason = error.strerror or str(error)
    return OutputError(f"{option}: {escaped(str(path))} cannot be written: {reason}. Choose another place.")
