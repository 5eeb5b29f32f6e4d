"""Results that viewers may still save or see again: whose each is, and until when."""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from gradio_app.callers import Caller
from gradio_app.result import Result
from pointrend.errors import RequestError

RESULT_BYTES = 512 * 2**20  # of all viewers' results together, in memory


@dataclass(frozen=True, slots=True)
class _Kept:
    result: Result
    owner: str
    network: str
    since: float


class KeptResults:
    """Results of all viewers, each seen by its own only; the page's examples by everybody.

    Args:
        kept_seconds: how long a viewer's result lives.
        limit_bytes: what all of them may take; beyond it, whoever has most loses the oldest.
        clock: seconds that only go up.
    """

    def __init__(
        self, kept_seconds: float, limit_bytes: int = RESULT_BYTES, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.kept_seconds = kept_seconds
        self._limit = limit_bytes
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept] = {}  # oldest first
        self._published: dict[str, Result] = {}

    def publish(self, name: str, result: Result) -> str:
        """Let everybody have a result of the page's own, in place of what had its name; returns its id."""
        identity = f"example-{name}"
        with self._lock:
            self._published[identity] = result
        return identity

    def keep(self, result: Result, caller: Caller) -> str:
        """Keep a viewer's result; returns its id, which nobody guesses."""
        identity = secrets.token_urlsafe(24)
        with self._lock:
            self._drop_old()
            self._kept[identity] = _Kept(result, _owner(caller), caller.network, self._clock())
            self._make_room()
        return identity

    def update(self, identity: str, result: Result, caller: Caller) -> None:
        """Keep more of a result than before, under its id.

        Raises:
            RequestError: as :meth:`get` does.
        """
        self.get(identity, caller)
        with self._lock:
            if identity in self._published:
                self._published[identity] = result
            elif identity in self._kept:
                self._kept[identity] = replace(self._kept[identity], result=result)
                self._make_room()

    def get(self, identity: object, caller: Caller) -> Result:
        """A result that its viewer asks for.

        Raises:
            RequestError: it is no longer here, or another viewer's: both are answered alike.
        """
        with self._lock:
            self._drop_old()
            if isinstance(identity, str) and identity in self._published:
                return self._published[identity]
            kept = self._kept.get(identity) if isinstance(identity, str) else None
        if kept is None or kept.owner != _owner(caller):
            raise RequestError(
                f"The result has been deleted, as all are within {self.kept_seconds // 60:.0f} minutes; "
                "choose the image again.",
                field="result",
                code="result_expired",
                status=410,
            )
        return kept.result

    def _drop_old(self) -> None:
        now = self._clock()
        for identity in [name for name, kept in self._kept.items() if now - kept.since > self.kept_seconds]:
            del self._kept[identity]

    def _make_room(self) -> None:
        while (total := self._shares()) and sum(total.values()) > self._limit and len(self._kept) > 1:
            largest = total.most_common(1)[0][0]
            del self._kept[next(name for name, kept in self._kept.items() if kept.network == largest)]

    def _shares(self) -> Counter[str]:
        shares: Counter[str] = Counter()
        for kept in self._kept.values():
            shares[kept.network] += kept.result.nbytes
        return shares


def _owner(caller: Caller) -> str:
    """A viewer by the browser's cookie; by the session where the browser keeps none."""
    return f"visitor {caller.visitor}" if caller.visitor else f"session {caller.session}"
