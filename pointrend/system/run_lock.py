"""One run at a time in an output folder: a lock that the system drops with the process, however that ends."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from pointrend.errors import OutputError
from pointrend.plain_text import escaped, plain
from pointrend.system.outputs import unwritable

LOCK = ".pointrend.lock"
"""The name of the lock's file in the folder; it is there while a run goes on, and says whose it is."""

logger = logging.getLogger(__name__)

_TAKEN = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
_NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOLCK, errno.EINVAL)
_FLAGS = 0 if sys.platform == "win32" else os.O_NOFOLLOW | os.O_CLOEXEC
_held: set[int] = set()  # descriptors of this process's locks


@contextlib.contextmanager
def locked(folder: Path, option: str) -> Iterator[None]:
    """Keep other runs out of a folder, made if necessary, until the block ends.

    The lock is the system's own (``flock``) on a file in the folder: that of a killed process is gone with it. It holds
    between machines where the network file system passes such locks on, as NFS does. Where there are no locks, the run
    goes on and a warning says so.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, locked(Path(folder), "--out"):
    ...     sorted(path.name for path in Path(folder).iterdir())
    ['.pointrend.lock']

    Args:
        folder: where results go.
        option: what named it, such as ``--out``; the error begins with it.

    Raises:
        OutputError: another run is going on in the folder, or it cannot be written.
    """
    if sys.platform == "win32":
        logger.warning("%s", _unlocked(folder, "this system has none"))
        yield
        return
    made = _missing(folder)
    path = folder / LOCK
    try:
        lock = _take(path, folder, option)
    except OSError as error:
        raise unwritable(option, folder, error) from error
    _held.add(lock)
    try:
        yield
    finally:
        # Removed while it is held: who waits for this very file finds another, or none, in its place afterwards.
        with contextlib.suppress(OSError):
            path.unlink()
        _held.discard(lock)
        os.close(lock)
        with contextlib.suppress(OSError):  # what a run that came to nothing made
            for each in made:
                each.rmdir()


def _take(path: Path, folder: Path, option: str) -> int:
    """The descriptor of the locked file."""
    import fcntl  # which Windows does not have

    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT | _FLAGS, 0o666)
        except FileNotFoundError:  # a run that ended just now took its empty folder with it
            continue
        except PermissionError:
            if not path.is_file():
                raise
            lock = os.open(path, os.O_RDONLY | _FLAGS)  # another user's, whose run was killed or goes on
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno in _TAKEN:
                    raise OutputError(
                        f"{option}: {escaped(str(folder))} is in use by another run{_holder(lock)}. Wait until that "
                        "ends, stop it, or choose another folder."
                    ) from error
                if error.errno not in _NO_LOCKS:
                    raise
                logger.warning("%s", _unlocked(folder, error.strerror or str(error)))
                return lock
            if _is_in_place(lock, path):
                with contextlib.suppress(OSError):  # not every file that can be locked can be written
                    os.ftruncate(lock, 0)
                    os.pwrite(lock, json.dumps({"process": os.getpid(), "host": socket.gethostname()}).encode(), 0)
                return lock
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)


def _is_in_place(lock: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(lock), path.lstat())
    except FileNotFoundError:
        return False


def _holder(lock: int) -> str:
    """Who holds the lock, as the end of a sentence; nothing where the file does not tell."""
    try:
        tree = json.loads(os.pread(lock, 4096, 0))
        return f" (process {int(tree['process'])} on {plain(str(tree['host']), 100)})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _unlocked(folder: Path, reason: str) -> str:
    return f"{escaped(str(folder))} cannot be locked ({reason}): let no other run write there at the same time."


def _missing(folder: Path) -> list[Path]:
    """The folder and those above it that are not there yet, the lowest first."""
    missing: list[Path] = []
    place = folder.absolute()
    while not os.path.lexists(place):
        missing.append(place)
        place = place.parent
    return missing


def _drop_in_child() -> None:
    """A process that is forked off, as one that loads images, must not keep the lock of a parent that was killed."""
    for lock in _held:
        os.close(lock)
    _held.clear()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_drop_in_child)
