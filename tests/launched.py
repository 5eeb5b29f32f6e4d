"""``pointrend up`` as a process of its own, started and stopped by a test."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

PATIENCE_SECONDS = 240
# The store is the checkout's otherwise, which another test may be using.
_PROGRAM = """
import sys
from pathlib import Path
from pointrend.serving import up as launcher
launcher.STORE = Path(sys.argv.pop(1))
from pointrend.cli.main import main
main()
"""


def up_command(store: Path, *options: str) -> list[str]:
    """``pointrend up`` with its archives in a folder of the test's own."""
    return [sys.executable, "-c", _PROGRAM, str(store), "up", *options]


@contextmanager
def launched(
    command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """The command once it is ready, killed at the end; its output goes to the log."""
    with log.open("w") as output:
        process = subprocess.Popen(list(command), env=environment, stdout=output, stderr=output)
    alarm = threading.Timer(PATIENCE_SECONDS, process.kill)
    try:
        alarm.start()
        while "Ctrl-C" not in log.read_text():
            assert process.poll() is None, log.read_text()
            threading.Event().wait(0.2)
        yield process
    finally:
        alarm.cancel()
        process.kill()
        process.wait()
