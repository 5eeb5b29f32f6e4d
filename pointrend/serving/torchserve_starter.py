"""TorchServe's own starter, which ends as its Java process ended; the starter alone exits with 0 whatever happened.

Run as ``python -m pointrend.serving.torchserve_starter``, with the arguments of ``torchserve``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

from ts import model_server


class _Remembered(subprocess.Popen[Any]):
    """A process whose end can be asked for after the starter, which holds it in a local variable, has returned."""

    last: _Remembered | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _Remembered.last = self


def main() -> None:
    """Start TorchServe, wait for it, and exit with its status or by its signal."""
    model_server.subprocess.Popen = _Remembered
    model_server.start()
    status = _Remembered.last.wait() if _Remembered.last else 1
    if status < 0:
        if -status not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)


if __name__ == "__main__":
    main()
