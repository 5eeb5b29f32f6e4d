"""OpenVINO's telemetry stays off wherever this project imports it: no process is forked, nobody is told."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import os
def refused(): raise AssertionError("forked")
os.fork = refused
import numpy as np, psutil, sys
import pointrend
pointrend.load("demo", engine="openvino", threads=1)(np.zeros((64, 64, 3), np.uint8))
assert "openvino" in sys.modules
assert sys.modules["openvino_telemetry"] is None
assert not psutil.Process().children()
"""


def test_openvino_tells_nobody() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "forked" not in done.stderr
