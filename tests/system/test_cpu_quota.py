"""A real control group with a quota, as a container has: the cores are counted, and being stopped is waiting."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from benchmarks.cpu_quota import CONTROLLER, PERIOD, Group, quota

pytestmark = pytest.mark.skipif(
    not os.access(CONTROLLER / "cpu.cfs_period_us", os.R_OK) or not os.access(CONTROLLER / "cgroup.procs", os.W_OK),
    reason="needs root and the first version of control groups",
)
COUNT = "from pointrend.system.machine import core_quota; print(core_quota())"
# A thread that computes until it was stopped several times has waited for most of that, however long it took.
SPIN = """
import pathlib, sys
from pointrend.system import spinning
import torch

torch.rand(10**6).relu_()
def stopped():
    return int(pathlib.Path(sys.argv[1]).read_text().split()[3])

before = stopped()
with spinning.follow_load():
    while stopped() < before + 5:
        pass
print(spinning._spinning().is_limited)
"""


def run_in(group: Group, program: str, *arguments: str) -> str:
    """What a program prints that begins once it is in a group."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    waiting = "input()\n"
    process = subprocess.Popen(
        [sys.executable, "-c", waiting + program, *arguments],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    group.add(process.pid)
    told, _ = process.communicate("\n", timeout=120)
    assert process.returncode == 0
    return told.strip()


@pytest.mark.parametrize(("cores", "counted"), [(0.5, "1"), (1.0, "1"), (1.5, "2")])
def test_the_cores_of_a_quota_are_counted(cores: float, counted: str) -> None:
    with quota(cores) as group:
        assert group.folder.joinpath("cpu.cfs_quota_us").read_text().strip() == f"{cores * PERIOD:.0f}"
        assert run_in(group, COUNT) == counted


def test_that_of_a_group_above_counts_too() -> None:
    with quota(1.0) as group:
        inner = Group(group.folder / "inner")  # whose own is -1: as much as those above have
        inner.folder.mkdir()
        try:
            assert run_in(inner, COUNT) == "1"
        finally:
            inner.folder.rmdir()


def test_threads_hardly_spin_in_a_process_that_its_quota_stops() -> None:
    with quota(0.3) as group:
        assert run_in(group, SPIN, str(group.folder / "cpu.stat")) == "True"
        assert group.throttled() > 0
