"""OpenVINO inside a process that does more than predict."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import openvino
import pytest
import torch
from torch import Tensor

from pointrend.config.schema import PointHeadConfig
from pointrend.engines.export import converted, example
from pointrend.engines.openvino import Compiled
from pointrend.engines.part import Points
from pointrend.modeling.point_rend import PointHead
from pointrend.modeling.side_by_side import side_by_side

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


@pytest.mark.parametrize("threads", [1, 2])
def test_points_that_come_from_several_threads_at_once_are_those_of_one(threads: int, tmp_path: Path) -> None:
    part = Points(PointHead(8, 5, 5, PointHeadConfig(fc_dim=16)).eval(), 8, 5)
    file = tmp_path / "points.xml"
    openvino.save_model(converted(part, example(part)), str(file), compress_to_fp16=False)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        compiled = Compiled(file, part)
        pieces = [(torch.randn(regions, 30, 8), torch.randn(regions, 30, 5)) for regions in (1, 4, 2, 4, 3, 1)]
        answers: dict[int, Tensor] = {}

        def answer(index: int) -> None:
            (answers[index],) = compiled(*pieces[index])

        with torch.inference_mode():
            side_by_side(answer, range(len(pieces)))
            for index, inputs in enumerate(pieces):
                torch.testing.assert_close(answers[index], part(*inputs)[0])
                assert torch.equal(answers[index], compiled(*inputs)[0])
    finally:
        torch.set_num_threads(before)
