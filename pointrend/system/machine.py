"""What this machine is: its processor in words, for figures mean nothing without it, and what a container may use."""

from __future__ import annotations

import math
import platform
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_VNNI = {"avx512_vnni", "avx_vnni"}


def processor() -> str:
    """The processor's name, where the system tells it, or else its architecture."""
    return told("model name", _CPUINFO) or platform.processor() or platform.machine()


def has_int8_products(cpuinfo: Path = _CPUINFO) -> bool:
    """Whether Linux says that the processor has instructions for sums of 8-bit products (VNNI).

    Without them such sums are made in 16 bits and may overflow: what was quantised answers less exactly, and gains
    less.

    Args:
        cpuinfo: where Linux tells it.
    """
    return not _VNNI.isdisjoint(told("flags", cpuinfo).split())


def told(field: str, file: Path) -> str:
    """What a file of Linux's with a field a line tells, where it first names the field; nothing where it does not."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(field)), "")


def core_quota(control_groups: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Cores that a container's share of time comes to, rounded up; None where no limit is set or told.

    A process under such a limit (``docker run --cpus 2``, a Pod's ``limits``) still sees every core of its machine.
    With a thread for each of them it would be stopped for most of the time.

    Args:
        control_groups: where Linux tells it, in its second version's file or its first's.
    """
    try:
        quota, period = (control_groups / "cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        try:
            files = (control_groups / "cpu" / f"cpu.cfs_{name}_us" for name in ("quota", "period"))
            quota, period = (file.read_text(encoding="ascii").strip() for file in files)
        except OSError:
            return None
    if not quota.isdigit():  # "max", or -1
        return None
    return max(1, math.ceil(int(quota) / int(period)))
