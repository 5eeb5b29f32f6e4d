"""How often somebody may do something: token buckets by name."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

NAMES_KEPT = 10_000  # beyond it, those whose bucket is full again are forgotten


@dataclass(frozen=True, slots=True)
class Rate:
    """So many a minute, and so many at once after a pause."""

    per_minute: float
    burst: int


class Rates:
    """Counts what each name does against one rate.

    Args:
        rate: what each name may do.
        clock: seconds that only go up.
    """

    def __init__(self, rate: Rate, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[Hashable, tuple[float, float]] = {}  # tokens left, and when

    def take(self, name: Hashable) -> int:
        """Count one; returns 0 if it is allowed, otherwise the whole seconds until the next one is."""
        with self._lock:
            now = self._clock()
            tokens = self._tokens(name, now)
            if tokens < 1:
                return max(1, math.ceil((1 - tokens) * 60 / self._rate.per_minute))
            self._buckets[name] = tokens - 1, now
            if len(self._buckets) > NAMES_KEPT:
                self._forget(now)
            return 0

    def _tokens(self, name: Hashable, now: float) -> float:
        left, since = self._buckets.get(name, (float(self._rate.burst), now))
        return min(float(self._rate.burst), left + (now - since) * self._rate.per_minute / 60)

    def _forget(self, now: float) -> None:
        waiting = {name: bucket for name, bucket in self._buckets.items() if self._tokens(name, now) < self._rate.burst}
        # Should they all be waiting, the oldest half goes: memory stays bounded whoever knocks.
        self._buckets = dict(list(waiting.items())[-NAMES_KEPT // 2 :])
