"""What the processor can do, and what a container may use of its machine."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import pointrend
from pointrend.system.machine import core_quota, has_int8_products, usable_memory


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "1000 100000\n"}, 1),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({}, None),
        # That of a group above holds too; and of those that are bound, each controller has its own.
        ({"cpu.max": "max 100000\n", "a/cpu.max": "200000 100000\n", "a/b/cpu.max": "400000 100000\n"}, 2),
        ({"cpu/c/cpu.cfs_quota_us": "150000\n", "cpu/c/cpu.cfs_period_us": "100000\n"}, 2),
        ({"cpu/a/cpu.cfs_quota_us": "150000\n", "cpu/a/cpu.cfs_period_us": "100000\n"}, None),
    ],
)
def test_the_limit_of_a_containers_time_is_read(files: dict[str, str], cores: int | None, tmp_path: Path) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    membership = tmp_path / "membership"
    membership.write_text("2:cpu,cpuacct:/c\n1:memory:/m\n0::/a/b\n")
    assert core_quota(tmp_path, membership) == cores


def test_the_limit_of_a_containers_memory_is_read(tmp_path: Path) -> None:
    membership = tmp_path / "membership"
    membership.write_text("1:memory:/m\n0::/a\n")
    machine = usable_memory(tmp_path, membership)
    assert machine > 2**28
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "memory.max").write_text("max\n")
    assert usable_memory(tmp_path, membership) == machine
    (tmp_path / "memory.max").write_text(f"{2**27}\n")
    assert usable_memory(tmp_path, membership) == 2**27
    (tmp_path / "memory" / "m").mkdir(parents=True)
    (tmp_path / "memory" / "m" / "memory.limit_in_bytes").write_text(f"{2**26}\n")
    assert usable_memory(tmp_path, membership) == 2**26


def test_a_model_takes_no_more_threads_than_its_container_has_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(3)
    pointrend.load("demo")
    assert torch.get_num_threads() == 3
    monkeypatch.setattr("pointrend.inference.loading.core_quota", lambda: 8)
    pointrend.load("demo")
    assert torch.get_num_threads() == 3
    monkeypatch.setattr("pointrend.inference.loading.core_quota", lambda: 1)
    pointrend.load("demo")
    assert torch.get_num_threads() == 1
    pointrend.load("demo", threads=2)
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize(
    ("cpuinfo", "has"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx2 avx512f avx512_vnni\n\nprocessor\t: 1\n", True),
        ("flags\t\t: fpu avx2 avx_vnni\n", True),
        ("flags\t\t: fpu avx2 avx512f\n", False),
        ("model name\t: avx512_vnni\nflags\t\t: fpu\n", False),
        ("Features\t: fp asimd i8mm\n", False),
        (None, False),
    ],
)
def test_instructions_for_int8_are_read(cpuinfo: str | None, has: bool, tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    if cpuinfo is not None:
        file.write_text(cpuinfo)
    assert has_int8_products(file) == has
