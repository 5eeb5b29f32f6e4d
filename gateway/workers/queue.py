"""The requests that wait for a worker, up to a limit."""

from __future__ import annotations

import asyncio
import time
from collections import deque

from gateway.refusals import overloaded
from gateway.workers.messages import Message
from pointrend.errors import RequestError


class Job:
    """One request on its way through a worker.

    Attributes:
        message: for the worker.
        queued: when it came, by :func:`time.perf_counter`.
        begun: when a worker took it, likewise.
        handed_back: whether a worker that it was given to had died before it read the request.
    """

    def __init__(self, message: Message) -> None:
        self.message = message
        self.queued = self.begun = time.perf_counter()
        self.handed_back = False
        self._done: asyncio.Future[Message] = asyncio.get_running_loop().create_future()

    async def reply(self) -> Message:
        """What the worker replies.

        Raises:
            RequestError: there is no reply.
        """
        return await self._done

    @property
    def wanted(self) -> bool:
        """Whether anybody still waits for the reply."""
        return not self._done.done()

    def succeed(self, reply: Message) -> None:
        """Hand over the reply."""
        if self.wanted:
            self._done.set_result(reply)

    def fail(self, error: RequestError) -> None:
        """Say that there will be none."""
        if self.wanted:
            self._done.set_exception(error)


class JobQueue:
    """First come, first served.

    Args:
        limit: how many may wait; another one is refused.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._jobs: deque[Job] = deque()
        self._takers: deque[asyncio.Future[None]] = deque()
        self._idle = 0  # who takes: what goes straight to one of them does not wait

    def __len__(self) -> int:
        return sum(job.wanted for job in self._jobs)

    def put(self, job: Job) -> None:
        """Add a job at the end.

        Raises:
            RequestError: 503, the queue is full.
        """
        if len(self) >= self.limit + self._idle:
            raise overloaded()
        self._jobs.append(job)
        self._wake()

    def put_back(self, job: Job) -> None:
        """Return a job to the front: it was taken, and nothing was done about it."""
        self._jobs.appendleft(job)
        self._wake()

    async def take(self) -> Job:
        """The first job that is still wanted, once there is one; safe to cancel."""
        self._idle += 1
        try:
            while True:
                while self._jobs:
                    job = self._jobs.popleft()
                    if job.wanted:
                        return job
                await self._turn()
        finally:
            self._idle -= 1

    async def _turn(self) -> None:
        taker = asyncio.get_running_loop().create_future()
        self._takers.append(taker)
        try:
            await taker
        except asyncio.CancelledError:
            if taker.done() and not taker.cancelled():
                self._wake()  # it was this one's turn
            raise

    def fail_all(self, error: RequestError) -> None:
        """Refuse all that wait."""
        while self._jobs:
            self._jobs.popleft().fail(error)

    def _wake(self) -> None:
        while self._takers:
            taker = self._takers.popleft()
            if not taker.done():
                taker.set_result(None)
                return
