"""Keeps services running: one that ends, or no longer answers, is restarted, up to a limit.

Each service is looked after in a thread of its own, so that one that takes long to come back holds up no other.
"""

from __future__ import annotations

import queue
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from pointrend.system.processes import LaunchError

LOOK_EVERY_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Limit:
    """How often a service is restarted.

    Attributes:
        restarts: at most, within ``seconds``, and without being ready in between at all; 0 for none.
        seconds: of the window.
        first_pause: seconds before the first restart; each further one in the window waits twice as long.
        longest_pause: seconds.
    """

    restarts: int = 5
    seconds: float = 600.0
    first_pause: float = 1.0
    longest_pause: float = 30.0

    def __str__(self) -> str:
        return f"{self.restarts} times in {self.seconds / 60:g} minutes"


@dataclass(frozen=True, slots=True)
class Probe:
    """A question that a service answers as long as it works.

    Attributes:
        ask: whether it answers; returns in less than ``patience`` seconds.
        every: seconds from one question to the next.
        patience: seconds without an answer after which it is restarted.
        what: completes "TorchServe did not answer", such as " by HTTP".
    """

    ask: Callable[[], bool]
    every: float
    patience: float
    what: str = ""


class Supervised(Protocol):
    """What can be looked after; see :class:`pointrend.system.processes.Service`."""

    name: str
    replacing: threading.Lock

    @property
    def probes(self) -> Sequence[Probe]:
        """What it is asked."""

    def require_running(self) -> None:
        """Raise a :class:`LaunchError` where it has ended."""

    def silent(self, seconds: float, what: str = "") -> LaunchError:
        """What is said of it where it does not answer."""

    def restart(self) -> None:
        """Stop what is left of it, and start it again, or raise a :class:`LaunchError`."""

    def wait_ready(self) -> None:
        """Return when it answers, or raise a :class:`LaunchError`."""


class Restarts:
    """Counts the restarts of one service.

    Example:
        >>> restarts = Restarts(Limit(restarts=2, first_pause=1.0))
        >>> restarts.begin(now=0.0), restarts.begin(now=5.0), restarts.begin(now=9.0)
        (1.0, 2.0, None)
    """

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._began: list[float] = []
        self._failing = False

    def begin(self, now: float) -> float | None:
        """Seconds to wait before another restart; None where there have been enough."""
        if not self._failing:  # what never became ready again counts however long it took
            self._began = [began for began in self._began if now - began < self._limit.seconds]
        if len(self._began) >= self._limit.restarts:
            return None
        self._began.append(now)
        self._failing = True
        return min(self._limit.longest_pause, self._limit.first_pause * 2.0 ** (len(self._began) - 1))

    def succeeded(self) -> None:
        """It is ready again."""
        self._failing = False


class Silence:
    """How long one probe of a service has gone unanswered.

    Counted from the first question without an answer: a launcher that was suspended itself must not take the time for
    the service's silence.
    """

    def __init__(self, probe: Probe, now: float) -> None:
        self._probe = probe
        self._asked = now
        self._silent_since: float | None = None

    def lasts(self, clock: Callable[[], float]) -> float | None:
        """Ask where it is time to; seconds of a silence that is longer than the probe's patience, or None."""
        asked = clock()
        if asked - self._asked < self._probe.every:
            return None
        if self._probe.ask():
            self._silent_since = None
        elif self._silent_since is None:
            self._silent_since = asked
        self._asked = clock()
        silent = 0.0 if self._silent_since is None else self._asked - self._silent_since
        return silent if silent >= self._probe.patience else None


class Supervisor:
    """Looks after services until the end of its context.

    Args:
        services: started and ready.
        say: is told, in one line each, of a service that ended, is restarted, and is ready again.
        limit: of restarts, for each service.
        clock: seconds, monotonic.

    Example:
        >>> with Supervisor([server, gateway], print) as supervisor:
        ...     supervisor.wait()
    """

    def __init__(
        self,
        services: Sequence[Supervised],
        say: Callable[[str], None],
        *,
        limit: Limit | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._services = services
        self._say = say
        self._limit = limit or Limit()
        self._clock = clock
        self._ending = threading.Event()
        self._failures: queue.SimpleQueue[Exception] = queue.SimpleQueue()

    def __enter__(self) -> Self:
        for service in self._services:
            threading.Thread(target=self._look_after, args=(service,), name=service.name, daemon=True).start()
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        self._ending.set()

    def wait(self) -> None:
        """Return never.

        Raises:
            LaunchError: a service has ended too often; the sentence says how, where its log is and what to do.
        """
        raise self._failures.get()

    def _look_after(self, service: Supervised) -> None:
        restarts = Restarts(self._limit)
        try:
            silences = self._silences(service)
            while not self._ending.wait(LOOK_EVERY_SECONDS):
                if not service.replacing.acquire(blocking=False):
                    silences = self._silences(service)  # it is being replaced, and says nothing meanwhile
                    continue
                try:
                    failure = self._failure(service, silences)
                    if failure is not None:
                        self._restart(service, failure, restarts)
                        silences = self._silences(service)
                finally:
                    service.replacing.release()
        except Exception as error:
            self._failures.put(error)

    def _silences(self, service: Supervised) -> list[Silence]:
        return [Silence(probe, self._clock()) for probe in service.probes]

    def _failure(self, service: Supervised, silences: Sequence[Silence]) -> LaunchError | None:
        try:
            service.require_running()
        except LaunchError as error:
            return error
        for silence, probe in zip(silences, service.probes, strict=True):
            seconds = silence.lasts(self._clock)
            if seconds is not None:
                return service.silent(seconds, probe.what)
        return None

    def _restart(self, service: Supervised, failure: LaunchError, restarts: Restarts) -> None:
        """Return once it is ready again, or everything ends."""
        while not self._ending.is_set():
            began = self._clock()
            pause = restarts.begin(began)
            if self._limit.restarts == 0:
                raise failure
            if pause is None:
                raise LaunchError(
                    f"{failure} It was restarted {self._limit}, which is the limit. Remove the cause, such as too "
                    "little memory or a port in use, and start it again."
                ) from failure
            self._say(str(failure))
            named = re.sub("^The ", "the ", service.name)
            self._say(f"Restarting {named} in {pause:g} s; at most {self._limit}.")
            if self._ending.wait(pause):
                return
            try:
                service.restart()
                service.wait_ready()
            except LaunchError as error:
                failure = error
                continue
            restarts.succeeded()
            self._say(f"{service.name} is ready again after {self._clock() - began:.0f} s.")
            return
