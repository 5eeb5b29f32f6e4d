"""OpenVINO inside a process that does more than predict."""

from __future__ import annotations

import subprocess
import sys

DROPPED_THEN_SIGNALLED = """
import gc, os, signal
import pointrend
signal.signal(signal.SIGUSR1, lambda *_: print("handled"))
model = pointrend.load("demo", engine="openvino-int8")
del model
gc.collect()
os.kill(os.getpid(), signal.SIGUSR1)
"""


def test_a_process_that_gave_a_model_up_still_handles_signals() -> None:
    command = [sys.executable, "-c", DROPPED_THEN_SIGNALLED]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr
