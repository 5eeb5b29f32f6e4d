"""Opening files that may not be what they seem, and deleting those that are old."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Collection
from pathlib import Path

from gradio_app.upload_errors import not_uploaded, too_large
from pointrend.errors import InvalidRequest
from pointrend.images.base64_text import InvalidBase64, decode_base64


def read_regular(path: str, limit: int) -> bytes:
    """Read a file whole, unless something else stands in its place: no link is followed, no pipe is waited for.

    Args:
        path: absolute, without links in it.
        limit: how many bytes it may have.

    Raises:
        ImageTooLarge: it has more, or says so.
        InvalidRequest: it is not a regular file.
        OSError: it cannot be opened or read.
    """
    if os.path.realpath(path) != path:
        raise not_uploaded()
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        check_regular(os.fstat(descriptor), limit)
        data = file.read(limit + 1)  # it may have grown
    if len(data) > limit:
        raise too_large(limit, len(data))
    return data


def check_regular(info: os.stat_result, limit: int) -> None:
    """Refuse what is not a regular file, or larger than ``limit`` bytes.

    Raises:
        ImageTooLarge: it is larger.
        InvalidRequest: it is a link, a folder, a pipe or a device.
    """
    if not stat.S_ISREG(info.st_mode):
        raise not_uploaded()
    if info.st_size > limit:
        raise too_large(limit, info.st_size)


def read_data_url(url: str) -> bytes:
    """The bytes of a ``data:`` URL in Base64, which is read as the server reads it.

    Raises:
        InvalidRequest: it is none.
    """
    head, _, body = url.partition(",")
    if not head.lower().startswith("data:") or not head.lower().endswith(";base64"):
        raise InvalidRequest("The image's data: URL is not in Base64.", field="image")
    try:
        return decode_base64(body)
    except InvalidBase64 as error:
        raise InvalidRequest("The Base64 of the image's data: URL is damaged.", field="image") from error


def delete_old(folder: Path, *, but: Collection[str], skip: Collection[Path], room: int, seconds: float) -> None:
    """Delete what is old, and what is oldest of too much; and folders that have been empty for as long.

    Args:
        folder: where to look, however deep.
        but: files that stay, and do not count.
        skip: folders that stay with all that is in them.
        room: bytes that the files may have together.
        seconds: age that a file may have.
    """
    found: list[tuple[float, int, str]] = []
    now = time.time()
    for place, _, names in os.walk(folder, topdown=False):
        if any(Path(place).is_relative_to(each) for each in skip):
            continue
        for path in (os.path.join(place, name) for name in names):
            if path not in but:
                with contextlib.suppress(OSError):  # Gradio deletes here too
                    info = os.lstat(path)
                    found.append((info.st_ctime, info.st_blocks * 512, path))
        with contextlib.suppress(OSError):  # it is not empty, or is gone
            if place != str(folder) and now - os.lstat(place).st_mtime > seconds:
                os.rmdir(place)
    for since, size, path in sorted(found, reverse=True):
        room -= size
        if room < 0 or now - since > seconds:
            with contextlib.suppress(OSError):
                os.unlink(path)
