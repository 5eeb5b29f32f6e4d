"""SIGINT and SIGTERM as one exception, so that what was started is stopped in order."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType


class StopRequest(BaseException):
    """SIGINT or SIGTERM arrived."""


class StopSignals:
    """Turns SIGINT and SIGTERM into one :class:`StopRequest`; further ones wait until everything has stopped."""

    def __enter__(self) -> StopSignals:
        self._before = {number: signal.signal(number, self._raise) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def _raise(self, _number: int, _frame: FrameType | None) -> None:
        for number in self._before:
            signal.signal(number, signal.SIG_IGN)
        raise StopRequest

    def __exit__(self, kind: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> bool:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        return kind is StopRequest
