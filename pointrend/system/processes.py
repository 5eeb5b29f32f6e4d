"""Child processes and ports, on one machine."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from pointrend.errors import PointRendError
from pointrend.system import kept_logs
from pointrend.system.exit_status import how_ended

GRACE_SECONDS = 15.0  # TorchServe drains for about 2.5 s; a busy worker may hold it longer
ORPHANS_GRACE_SECONDS = 2.0  # for what a command that ended by itself left behind
KILL_SECONDS = 5.0  # until the system has removed what was ended by SIGKILL
LINES_KEPT = 20  # of a command's output, for messages
LARGEST_LOG = 16 * 2**20  # bytes of a service's output on the disk; then its end alone is kept
_SECRET = re.compile(
    r"(?:SECRETS?|TOKENS?|PASSWORDS?|PASSWD|PASSPHRASE|CREDENTIALS?|APIKEYS?)(?![A-Z])"
    r"|(?<![A-Z])(?:KEYS?|PASS|PWD|PAT)(?![A-Z])"
)
_NO_SECRETS = frozenset({"PWD", "OLDPWD"})  # the shell's folders


class LaunchError(PointRendError):
    """Something that keeps the server or the page from starting, in one readable sentence."""


def require_free_port(port: int, purpose: str, option: str) -> None:
    """Check that a loopback port can be bound.

    Raises:
        LaunchError: another process has it; the message names the option that chooses another.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise LaunchError(
                f"Port {port}, wanted for {purpose}, cannot be used ({error.strerror}). "
                f"Stop what holds it, or choose another with {option}."
            ) from error


def free_ports(count: int) -> list[int]:
    """Loopback ports that nothing holds at the moment, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def child_environment(**variables: str) -> dict[str, str]:
    """The environment for a child process: this process' own, without the secrets in it.

    Nothing that is started here has use for a token of the Hub, a cloud's key or the container's own secret, and a
    library that is broken into in one process should not find those of another.

    Args:
        variables: set besides, whatever their names.

    Returns:
        the variables whose names have no word such as TOKEN, KEY, SECRET or PASSWORD.

    Example:
        >>> os.environ["HF_TOKEN"] = "hf_..."
        >>> "HF_TOKEN" in child_environment()
        False
    """
    kept = {name: value for name, value in os.environ.items() if not _is_secret(name)}
    return kept | variables


def _is_secret(name: str) -> bool:
    return name not in _NO_SECRETS and _SECRET.search(name.upper()) is not None


class ProcessGroup:
    """A command and everything that it starts, stopped together.

    Args:
        command: the program and its arguments.
        log: the file that receives its output; None passes it on to the output of this process.
        cwd: its working directory.
        env: its whole environment.
    """

    def __init__(self, command: Sequence[str], *, log: Path | None, cwd: Path, env: Mapping[str, str]) -> None:
        self._log = log
        with contextlib.ExitStack() as stack:
            # A session of its own: Ctrl-C reaches the launcher alone, which then stops its children in order.
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if log is None else stack.enter_context(log.open("ab")),
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env=dict(env),
                start_new_session=True,
            )
        self._passed_on: deque[str] = deque(maxlen=LINES_KEPT)
        if log is None:
            threading.Thread(target=self._pass_on, daemon=True).start()

    @property
    def pid(self) -> int:
        """Process id of the command, which is also the group's id."""
        return self._process.pid

    def running(self) -> bool:
        """Whether the command itself still runs."""
        return self._process.poll() is None

    def end(self) -> str:
        """How the command ended, in words; see :func:`how_ended`."""
        return how_ended(self._process.wait())

    def killed(self) -> bool:
        """Whether a signal ended the command."""
        return self._process.wait() < 0

    @property
    def log(self) -> Path | None:
        """The file with its output; None where that is passed on."""
        return self._log

    def bound_log(self) -> None:
        """Cut a log that has grown beyond :data:`LARGEST_LOG` down to its end, while the command appends to it.

        What it writes at that very moment may be lost.
        """
        if self._log is None or not self._log.exists() or self._log.stat().st_size <= LARGEST_LOG:
            return
        with self._log.open("r+b") as file:
            file.seek(-kept_logs.MOST_BYTES, os.SEEK_END)
            end = file.read()
            file.truncate(0)
        with self._log.open("ab") as file:
            file.write(end)

    def tail(self) -> str:
        """The last lines of its output."""
        if self._log is None:
            return "\n".join(self._passed_on)
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-LINES_KEPT:])

    def stop(self, request: signal.Signals = signal.SIGTERM, patience: float = GRACE_SECONDS) -> None:
        """Ask the group to end, then end it; returns when nothing of it runs.

        Args:
            request: the signal that asks.
            patience: seconds until it is ended.
        """
        members = self._members()
        self._signal(request)
        # Some end at once while what they started still drains: wait for every member, not for the command alone.
        self._wait_for(members, patience)
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._wait_for(members, KILL_SECONDS)  # what is started next needs their ports

    def _wait_for(self, members: Sequence[psutil.Process], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while any(_alive(member) for member in members) and time.monotonic() < deadline:
            self._process.poll()
            time.sleep(0.05)

    def _pass_on(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            text = line.decode(errors="replace").rstrip()
            self._passed_on.append(text)
            print(text, flush=True)

    def _members(self) -> list[psutil.Process]:
        if self.running():
            with contextlib.suppress(psutil.NoSuchProcess):
                leader = psutil.Process(self.pid)
                return [leader, *leader.children(recursive=True)]
        # What it started has another parent by now, and is still of its group.
        return [process for process in psutil.process_iter() if _group_of(process.pid) == self.pid]

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


def _alive(process: psutil.Process) -> bool:
    """Whether a process runs; one that ended and waits to be reaped does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
