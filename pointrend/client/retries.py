"""When to ask again, and after how long."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Retries:
    """Asking again a server that is overloaded (503): exponential backoff with full jitter.

    Before retry n (from 0) a client waits a random time up to ``min(longest, first * 2**n)`` seconds. The randomness
    spreads clients that were refused together ("Exponential Backoff and Jitter", AWS Architecture Blog, 2015). Where
    the server says ``Retry-After``, that time is waited first; one longer than ``longest`` ends the retries.

    Attributes:
        count: how often at most; 0 never asks again.
        first: seconds.
        longest: seconds.
    """

    count: int = 4
    first: float = 0.25
    longest: float = 30.0

    def wait(self, attempt: int, retry_after: float | None = None) -> float | None:
        """Seconds to wait before retry ``attempt``, or None to give up."""
        if attempt >= self.count or (retry_after or 0.0) > self.longest:
            return None
        return (retry_after or 0.0) + random.uniform(0, min(self.longest, self.first * 2**attempt))
