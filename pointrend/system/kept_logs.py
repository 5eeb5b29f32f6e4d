"""Logs of services that failed: kept after the services' own folders are removed, bounded in size and number."""

from __future__ import annotations

import contextlib
import re
import time
from pathlib import Path

from pointrend.plain_text import plain
from pointrend.system.home import home

MOST_BYTES = 2**20  # of one log: its end, which says why
MOST_LOGS = 10
LONGEST_LINE = 160  # characters of a line that a message repeats
_ERROR = re.compile(r"\b(?:[\w.$]*(?:Error|Exception)\b|FATAL\b|[Oo]ut of memory\b).*")


def folder() -> Path:
    """Where they are: below the cache folder, ``POINTREND_HOME``."""
    return home() / "logs"


def keep(log: Path, name: str) -> Path:
    """Copy the end of a log; the oldest of the copies are removed.

    Args:
        log: the file, which may still be written to.
        name: of the service, which becomes part of the copy's name.

    Returns:
        the copy.

    Raises:
        OSError: the log cannot be read, or the copy not be written.
    """
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - MOST_BYTES))
        end = file.read(MOST_BYTES)
    place = folder()
    place.mkdir(parents=True, exist_ok=True)
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    now = time.time_ns()
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(now // 10**9))
    copy = place / f"{stamp}-{now % 10**9:09d}-{plain}.log"
    copy.write_bytes(end)
    for old in sorted(place.glob("*.log"))[:-MOST_LOGS]:
        with contextlib.suppress(OSError):  # another process may remove it at the same time
            old.unlink()
    return copy


def last_error(text: str) -> str | None:
    """The last line that tells of an error, from there on, fit for a message; None where there is none.

    Args:
        text: the end of a log.

    Example:
        >>> last_error("12:00 INFO begins\\nCaused by: java.net.BindException: Address already in use\\n  at Main")
        'java.net.BindException: Address already in use'
    """
    found = [match[0] for line in text.splitlines() if (match := _ERROR.search(line))]
    return plain(found[-1], LONGEST_LINE) if found else None
