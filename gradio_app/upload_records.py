"""One upload: whose it is, while it comes and once it is there."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gradio_app.callers import Caller


@dataclass(slots=True)
class Upload:
    """A file that came.

    Attributes:
        path: where it lies.
        size: in bytes.
        since: when it came.
        network: where it came from.
        visitor: who sent it, or was given this name with the answer.
        keeps_cookies: the sender is known to carry that name: nobody without it may use the file.
        session: the first one that used the file, where the sender carries no name.
        expired: the file is deleted; what is left tells so.
    """

    path: Path
    size: int
    since: float
    network: str
    visitor: str
    keeps_cookies: bool
    session: str | None = None
    expired: bool = False

    def belongs_to(self, caller: Caller) -> bool:
        """Whether the caller sent it. A script keeps no cookies: the first session that uses its file owns it."""
        if caller.visitor is not None:
            mine = secrets.compare_digest(caller.visitor, self.visitor)
            self.keeps_cookies = self.keeps_cookies or mine
            return mine
        if self.keeps_cookies:
            return False
        if self.session is None:
            self.session = caller.session
        return caller.session == self.session


class Arrival:
    """One upload under way, in a folder of its own.

    Attributes:
        caller: whose it is.
        folder: where its files may be written.
        size: bytes that have come.
        is_kept: its files are uploads now.
    """

    def __init__(self, caller: Caller, folder: Path, make_room: Callable[[int], None]) -> None:
        self.caller = caller
        self.folder = folder
        self.size = 0
        self.is_kept = False
        self._make_room = make_room

    def grow(self, count: int) -> None:
        """Count bytes before they are written.

        Raises:
            ServerError: there is no room for them.
        """
        self._make_room(count)
        self.size += count
