"""What a TorchServe's launcher says of it to the gateway, by a file in TorchServe's own folder.

The gateway alone cannot tell a TorchServe that is being restarted from one that starts or that never was.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

STARTING, READY, RESTARTING = "starting", "ready", "restarting"
_NAME = "launcher-state"


class ServerState:
    """The file; its folder is TorchServe's working directory.

    Example:
        >>> state = ServerState(folder)
        >>> state.write(READY)
        >>> state.read()
        'ready'
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / _NAME

    def write(self, state: str) -> None:
        """Say how TorchServe is doing: :data:`STARTING`, :data:`READY` or :data:`RESTARTING`.

        Where the disk is full, or the folder gone, the last word stays: it makes a message less exact, no more.
        """
        part = self._path.with_suffix(".part")
        with contextlib.suppress(OSError):
            part.write_text(state)
            part.replace(self._path)

    def read(self) -> str | None:
        """The last word; None where nobody has said any: nothing looks after that TorchServe."""
        try:
            return self._path.read_text()
        except OSError:
            return None

    def restarts(self, *, unreachable: bool = False) -> bool:
        """Whether TorchServe is being restarted, or about to be.

        Args:
            unreachable: whether nothing listens. What was ready ended then, and its launcher is about to see that.
        """
        state = self.read()
        return state == RESTARTING or (unreachable and state == READY)
