"""Opening files that others name: regular ones only, so that no device is touched and no FIFO waits for a writer."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file, or a link to one, for reading bytes.

    Raises:
        OSError: it cannot be opened, or is not a regular file; ``strerror`` says which.
    """
    if "\0" in str(path):
        raise OSError(errno.EINVAL, "its name has a NUL byte")
    _require_regular(path.stat().st_mode)  # before it is opened: opening a device can have effects
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        _require_regular(os.fstat(descriptor).st_mode)  # again: it may have been replaced
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _require_regular(mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = next((name for matches, name in _KINDS if matches(mode)), "something else")
        raise OSError(errno.EINVAL, f"it is {kind}, not a regular file")
