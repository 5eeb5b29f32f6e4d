"""Threads that spin where cores are free, and hardly where they are not."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pointrend.system.spinning import CALM, CROWDED, FREE, Spinning
from pointrend.system.threads import SPIN_COUNT, TURNS, TURNS_WHILE_FREE, spins_while_free


class Idle:
    """Counts those that are open."""

    open = 0

    def __init__(self) -> None:
        Idle.open += 1

    def close(self) -> None:
        Idle.open -= 1


def test_threads_stop_spinning_at_once_and_begin_again_after_a_while() -> None:
    spinning = Spinning(Idle)
    spinning.note(CROWDED)
    assert not spinning.is_limited
    spinning.note(CROWDED + 0.01)
    spinning.note(1.0)
    assert (spinning.is_limited, Idle.open) == (True, 1)
    for share in (*[0.0] * (CALM - 1), FREE, *[0.0] * (CALM - 1)):  # one that waits again begins anew
        spinning.note(share)
        assert spinning.is_limited
    spinning.note(0.0)
    assert (spinning.is_limited, Idle.open) == (False, 0)


def test_an_own_setting_is_left_alone() -> None:
    assert spins_while_free({SPIN_COUNT: str(TURNS_WHILE_FREE)})
    assert not spins_while_free({SPIN_COUNT: "7"})
    assert not spins_while_free({SPIN_COUNT: str(TURNS_WHILE_FREE), "OMP_WAIT_POLICY": "passive"})
    assert spins_while_free({})  # libgomp's default is longer still
    assert not spins_while_free({SPIN_COUNT: str(TURNS)})


def run(program: str) -> list[str]:
    """The words that a process prints whose environment says nothing of OpenMP."""
    environment = {name: value for name, value in os.environ.items() if name not in {"OMP_WAIT_POLICY", SPIN_COUNT}}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


# Told by libgomp itself, whose threads appear and go; in a process whose cores nobody takes from it in a test.
PROGRAM = """
import os
import pointrend
from pointrend.system import spinning
import torch

def threads():
    return len(os.listdir("/proc/self/task"))

torch.set_num_threads(2)
torch.rand(10**6).relu_()
before = threads()
idle = spinning.IdleThreads()
print(threads() - before - len(os.sched_getaffinity(0)))
idle.close()
while threads() > before:
    pass
with spinning.follow_load():
    pass
print(spinning._spinning() is not None)
"""


FOLLOWS = """
from pointrend.system import spinning
import torch

torch.rand(10**6).relu_()
print(spinning._spinning() is not None)
"""
PROCESSES = {
    "torchserve-or-asgi": "import handler.pointrend_handler",
    "command-line": "import pointrend.cli.main",  # predict, batch, bench, train, label-studio
    "notebook": "import torch, pointrend",  # in whichever order
    "batch-worker": "import pointrend.batch.worker",
    "label-studio": "import pointrend.integrations.label_studio.backend",
    "hugging-face": "import pointrend.integrations.huggingface.segmentation",
    "train": "import pointrend.training.run",
}


@pytest.mark.skipif(sys.platform != "linux", reason="PyTorch has another OpenMP")
@pytest.mark.parametrize("imports", PROCESSES.values(), ids=PROCESSES)
def test_every_process_follows_the_load(imports: str) -> None:
    assert run(imports + FOLLOWS) == ["True"]


@pytest.mark.skipif(sys.platform != "linux", reason="PyTorch has another OpenMP")
def test_idle_threads_are_more_than_the_cores_and_end() -> None:
    assert run(PROGRAM) == ["1", "True"]
