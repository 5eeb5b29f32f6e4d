"""Models of this machine that the launcher can serve instead: which there are, and how one is asked for."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pointrend.system.channel import ADDRESS, ChannelError, ask

ASK_EVERY_SECONDS = 4.0
EXCHANGE_SECONDS = 900.0  # quantising a ResNet-101 for the first time takes minutes


@dataclass(frozen=True, slots=True)
class Offer:
    """What can be served.

    Attributes:
        served: the name of the model that is served now.
        models: names of all that can be, ``served`` among them.
        coming: the name of a model that is being started; None where none is.
        hint: how to get a better one, as a sentence; None where there is nothing to say.
    """

    served: str
    models: tuple[str, ...]
    coming: str | None = None
    hint: str | None = None

    @classmethod
    def of(cls, tree: Mapping[str, Any]) -> Offer:
        """Read the launcher's answer."""
        return cls(tree["served"], tuple(tree["models"]), tree["coming"], tree["hint"])


class ModelChoice:
    """Asks the launcher, for all viewers: however many look, it is asked once in a few seconds.

    Args:
        environment: holds the channel's address and secret; see :mod:`pointrend.system.channel`.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._lock = threading.Lock()
        self._asked = float("-inf")
        self._offer = Offer("", ())

    @classmethod
    def from_launcher(cls) -> ModelChoice | None:
        """The choice that this process was started with; None where it was started by itself.

        What names the launcher leaves the environment, so that nothing that is started here inherits it.
        """
        found = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(ADDRESS)}
        return cls(found) if ADDRESS in found else None

    def offer(self) -> Offer:
        """What can be served, a few seconds old at most; the last answer where the launcher gives none."""
        with self._lock:
            if time.monotonic() - self._asked > ASK_EVERY_SECONDS:
                with contextlib.suppress(ChannelError):  # it is ending, or busy: the next tick asks again
                    self._offer = Offer.of(ask(self._environment, {}))
                self._asked = time.monotonic()
            return self._offer

    def serve(self, name: str) -> None:
        """Have another model served, and return once it answers.

        Raises:
            ChannelError: it cannot be; the message says which one is served now.
        """
        try:
            ask(self._environment, {"serve": name}, EXCHANGE_SECONDS)
        finally:
            with self._lock:
                self._asked = float("-inf")
