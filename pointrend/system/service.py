"""A service of this machine: a process group with a name, a folder and a log."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Self

from pointrend.system import kept_logs
from pointrend.system.processes import GRACE_SECONDS, ORPHANS_GRACE_SECONDS, LaunchError, ProcessGroup

ASK_AGAIN_SECONDS = 0.05  # while it starts: asking costs next to nothing, and somebody waits


class Service:
    """A process group with a folder of its own for what it writes, which goes when it stops; a context manager.

    Args:
        name: what messages call it.
        command: the program and its arguments.
        folder: its working directory; holds its log.
        env: its whole environment.
        relay: its output goes to this process' own instead, as a container wants it.

    Attributes:
        replacing: held by whoever restarts it, from its end until it is ready again.
    """

    def __init__(
        self, name: str, command: Sequence[str], folder: Path, env: Mapping[str, str], *, relay: bool = False
    ) -> None:
        self.name = name
        self._folder = folder
        self._start = partial(
            ProcessGroup, command, log=None if relay else folder / "output.log", cwd=folder, env=dict(env)
        )
        self._group = self._start()
        self.replacing = threading.Lock()
        self._changing = threading.Lock()  # against a restart that a stop overtakes
        self._stopped = False

    @property
    def pid(self) -> int:
        """Id of its process group."""
        return self._group.pid

    def running(self) -> bool:
        """Whether it still runs."""
        return self._group.running()

    def log(self) -> str:
        """The last lines of its output."""
        return self._group.tail()

    def wait_until(self, answers: Callable[[], bool], seconds: float) -> None:
        """Return once it answers.

        Raises:
            LaunchError: it ended, or did not answer in time; names its log, which is kept.
        """
        deadline = time.monotonic() + seconds
        while not answers():
            self.require_running()
            if time.monotonic() > deadline:
                raise self.silent(seconds)
            time.sleep(ASK_AGAIN_SECONDS)

    def silent(self, seconds: float, what: str = "") -> LaunchError:
        """What is said of it where it runs and has not answered for some time; its log is kept.

        Args:
            seconds: that time.
            what: it does not answer, such as " by HTTP"; empty where that is plain.
        """
        return LaunchError(f"{self.name} did not answer{what} in {seconds:.0f} s{self._where_its_log_is()}.")

    def require_running(self) -> None:
        """Check that it has not ended by itself, and keep its log bounded meanwhile.

        Raises:
            LaunchError: it has; one sentence names the service, its signal or exit status, the line of its log that
                tells of an error where there is one, and the log, which is kept.
        """
        if not self.running():
            raise LaunchError(f"{self.name} {self._group.end()}{self._last_error()}{self._where_its_log_is()}.")
        with contextlib.suppress(OSError):  # a full disk, for instance; the next look tries again
            self._group.bound_log()

    def _last_error(self) -> str:
        """The line that tells why it ended, in parentheses; empty where a signal or nothing that it wrote does."""
        if self._group.log is None or self._group.killed():
            return ""
        with contextlib.suppress(OSError):
            line = kept_logs.last_error(self._group.tail())
            return f" ({line})" if line else ""
        return ""

    def _where_its_log_is(self) -> str:
        if self._group.log is None:
            return "; what it wrote is in the output above"
        try:
            return f"; its log is {kept_logs.keep(self._group.log, self.name)}"
        except OSError as error:
            return f"; its log could not be kept in {kept_logs.folder()} ({error.strerror})"

    def restart(self) -> None:
        """Stop it with all that it started, or what is left of that, and start it again in the same folder.

        Raises:
            LaunchError: it was stopped for good in the meantime, or cannot be started: its folder is gone, or the
                system has no room for a process.
        """
        with self._changing:
            self._refuse_if_stopped()
            self._group.stop(patience=GRACE_SECONDS if self.running() else ORPHANS_GRACE_SECONDS)
            self._refuse_if_stopped()
            try:
                self._clear()
                self._group = self._start()
            except OSError as error:
                named = f": {error.filename}" if error.filename else ""
                raise LaunchError(f"{self.name} cannot be started again ({error.strerror}{named}).") from error

    def _clear(self) -> None:
        """Remove what an end by a signal leaves in the folder and a start would stumble over."""

    def _refuse_if_stopped(self) -> None:
        if self._stopped:
            raise LaunchError(f"{self.name} was stopped.")

    def stop(self) -> None:
        """Stop it with all that it started, and remove its folder."""
        self._stopped = True  # a restart that is under way goes no further
        with self._changing:
            self._group.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
