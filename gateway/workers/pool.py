"""The workers of one model: requests are handed to whichever is free, and a worker that ends is replaced."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

from gateway.refusals import overloaded, timeout, worker_died
from gateway.workers.archive import ModelSource
from gateway.workers.messages import Message
from gateway.workers.process import WorkerDied, WorkerError, WorkerProcess
from gateway.workers.queue import Job, JobQueue

MOST_FAILED_STARTS = 5  # one after the other
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 16.0  # seconds before the start after a failed one; each waits twice as long

logger = logging.getLogger(__name__)


class WorkerPool:
    """Keeps as many workers as the model's settings say.

    A worker that ends while it has a request fails that request alone, with 500 ``worker_died``, and is replaced at
    once. One that hangs is ended and replaced after ``responseTimeout``. What cannot be started is tried again with
    pauses, :data:`MOST_FAILED_STARTS` times; a model that cannot be loaded is not.

    Args:
        model: what to serve.
        give_up: is told, in one sentence, that no worker can be started any more.
        changed: is told the model's name, and 1 of a worker that is ready, -1 of one that was.
    """

    def __init__(self, model: ModelSource, give_up: Callable[[str], None], changed: Callable[[str, int], None]) -> None:
        self.model = model
        self.queue = JobQueue(model.waiting)
        self.workers: list[WorkerProcess] = []
        self._give_up = give_up
        self._changed = changed
        self._keepers: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to start the workers; requests wait for them meanwhile."""
        for number in range(self.model.workers):
            name = f"worker {number + 1} of {self.model.name}"
            self._keepers.append(asyncio.create_task(self._keep_running(name), name=name))

    async def close(self) -> None:
        """End the workers, whatever they do."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        self.queue.fail_all(overloaded())

    async def answer(self, job: Job, seconds: float) -> Message:
        """The reply to a job, after it has waited for its turn.

        Raises:
            RequestError: 503 no room to wait, or no worker in all that time; 500 its worker died on it; 504 no reply.
        """
        self.queue.put(job)
        try:
            async with asyncio.timeout(seconds):
                return await job.reply()
        except TimeoutError:
            raise (timeout(seconds) if self.workers else overloaded()) from None

    async def _keep_running(self, name: str) -> None:
        failed = 0
        while True:
            try:
                worker = await WorkerProcess.start(self.model)
            except WorkerError as error:
                failed += 1
                if error.final or failed == MOST_FAILED_STARTS:
                    tries = "" if error.final else f" It was tried {failed} times."
                    self._give_up(f"{error}{tries}")
                    return
                pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (failed - 1))
                logger.warning("%s Trying again in %g s.", error, pause)
                await asyncio.sleep(pause)
                continue
            failed = 0
            logger.info("The %s is ready: process %d, engine %s.", name, worker.pid, worker.engine)
            self.workers.append(worker)
            self._changed(self.model.name, 1)
            try:
                logger.warning("%s. Starting another.", await self._work(worker))
            finally:
                self.workers.remove(worker)
                self._changed(self.model.name, -1)
                await worker.end()

    async def _work(self, worker: WorkerProcess) -> str:
        """Hand jobs to a worker until it ends, and return how that came."""
        ended = asyncio.create_task(worker.ended())
        try:
            while (job := await self._next(ended)) is not None:
                job.begun = time.perf_counter()
                seconds = self.model.config.response_seconds
                try:
                    job.succeed(await worker.ask(job.message, seconds))
                except TimeoutError:
                    job.fail(timeout(seconds))
                    return f"The worker {worker.pid} did not answer within {seconds} s and is ended"
                except WorkerDied as error:
                    self._after_death(job, begun=error.begun)
                    return str(error)
            return f"The worker {worker.pid} {ended.result()}"
        finally:
            ended.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await ended

    async def _next(self, ended: asyncio.Task[str]) -> Job | None:
        """The next job; None where the worker has ended before there was one."""
        taking = asyncio.create_task(self.queue.take())
        try:
            await asyncio.wait({taking, ended}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._untake(taking)
            raise
        if ended.done():
            self._untake(taking)
            return None
        return taking.result()

    def _untake(self, taking: asyncio.Task[Job]) -> None:
        if taking.done():
            self.queue.put_back(taking.result())
        else:
            taking.cancel()

    def _after_death(self, job: Job, *, begun: bool) -> None:
        """Fail the job that a worker died on; one that it had not even read goes to another worker, once."""
        if begun or job.handed_back:
            job.fail(worker_died())
        else:
            job.handed_back = True
            self.queue.put_back(job)
