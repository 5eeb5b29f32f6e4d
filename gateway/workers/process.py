"""One worker, as the server sees it: started, asked, ended."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Coroutine

from gateway.workers.archive import ModelSource
from gateway.workers.messages import BEGUN, FAILED, READY, Message, read_async, write_async
from pointrend.errors import PointRendError
from pointrend.system.exit_status import how_ended
from pointrend.system.processes import child_environment

_BUFFER = 2**20  # bytes that the server reads ahead of a reply
_LOOK_SECONDS = 0.2  # between looks whether a process has ended


class WorkerError(PointRendError):
    """A worker that does not come up.

    Attributes:
        final: whether another one would fare no better: it said itself what is wrong with the model.
    """

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


class WorkerDied(PointRendError):
    """A worker that ended while it had a request.

    Attributes:
        begun: whether it had read the request.
    """

    def __init__(self, message: str, *, begun: bool) -> None:
        super().__init__(message)
        self.begun = begun


class WorkerProcess:
    """A process that has loaded a model; see :meth:`start`.

    Attributes:
        engine: what computes the network there.
        started: when it became ready, by :func:`time.time`.
    """

    def __init__(self, process: asyncio.subprocess.Process, engine: str) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._requests, self._replies = process.stdin, process.stdout
        self.engine = engine
        self.started = time.time()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @classmethod
    async def start(cls, model: ModelSource) -> WorkerProcess:
        """Start one, and return once it has run its model.

        Raises:
            WorkerError: it ended, said that it cannot, or took longer than ``startupTimeout``.
        """
        seconds = model.config.startup_seconds
        command = [sys.executable, "-m", "gateway.workers.worker", "--folder", str(model.folder)]
        command += ["--config", str(model.config_file), "--engine", model.engine]
        command += ["--share-in", str(model.shared)] if model.workers > 1 else []
        command += ["--threads", str(model.threads)] if model.threads else []
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=child_environment(),
                limit=_BUFFER,
            )
        except OSError as error:
            raise WorkerError(f"A worker of {model.name} cannot be started: {error.strerror}.") from error
        assert process.stdout is not None
        try:
            async with asyncio.timeout(seconds):
                first = await read_async(process.stdout)
        except TimeoutError as error:
            await _end(process)
            raise WorkerError(f"A worker of {model.name} did not load its model within {seconds} s.") from error
        except (EOFError, OSError) as error:
            status = await _end(process)
            raise WorkerError(f"A worker of {model.name} {how_ended(status)} before its model was loaded.") from error
        except BaseException:
            await _end(process)
            raise
        if first.kind == FAILED:
            await _end(process)
            why, final = first.head["why"], first.head["final"]
            raise WorkerError(f"The model {model.name} cannot be loaded: {why}", final=final)
        assert first.kind == READY
        return cls(process, first.head["engine"])

    async def ask(self, request: Message, seconds: float) -> Message:
        """The reply to a request; one at a time.

        Raises:
            WorkerDied: there is none.
            TimeoutError: there was none in time; the process still runs.
        """
        begun = False

        async def converse() -> Message:
            nonlocal begun
            await write_async(self._requests, request)
            while (reply := await read_async(self._replies)).kind == BEGUN:
                begun = True
            return reply

        try:
            async with asyncio.timeout(seconds):
                return await self._while_it_runs(converse())
        except (EOFError, OSError) as error:
            if isinstance(error, TimeoutError):
                raise
            raise WorkerDied(f"The worker {self.pid} {await self.end()}", begun=begun) from error

    async def _while_it_runs(self, conversation: Coroutine[None, None, Message]) -> Message:
        """A reply, unless the process ends; its pipes may outlive it, where another process holds them too.

        Raises:
            EOFError: it has ended.
        """
        talking = asyncio.create_task(conversation)
        try:
            while not talking.done():
                ended = self._process.returncode is not None
                await asyncio.wait({talking}, timeout=_LOOK_SECONDS)
                if ended and not talking.done():
                    raise EOFError
            return talking.result()
        finally:
            talking.cancel()
            await asyncio.wait({talking})  # nobody else can read before it has stopped

    async def ended(self) -> str:
        """Wait until it ends by itself; how, in words."""
        return how_ended(await _exit(self._process))

    async def end(self) -> str:
        """End it, whatever it does; how it ended, in words."""
        return how_ended(await _end(self._process))


async def _end(process: asyncio.subprocess.Process) -> int:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    status = await _exit(process)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    # Else they would be closed when Python throws the process away, which may be after the event loop's end. Another
    # process may hold them for ever.
    with contextlib.suppress(OSError):  # TimeoutError is one
        async with asyncio.timeout(_LOOK_SECONDS):
            await process.stdin.wait_closed()
            while await process.stdout.read(_BUFFER):
                pass
    return status


async def _exit(process: asyncio.subprocess.Process) -> int:
    """The status of a process that ends, without waiting for its pipes as ``process.wait()`` does."""
    while process.returncode is None:
        await asyncio.sleep(_LOOK_SECONDS)
    return process.returncode
