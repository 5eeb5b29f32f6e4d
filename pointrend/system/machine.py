"""What this machine is: its processor in words, for figures mean nothing without it, and what a container may use."""

from __future__ import annotations

import math
import os
import platform
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_CONTROL_GROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")
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


def core_quota(control_groups: Path = _CONTROL_GROUPS, membership: Path = _MEMBERSHIP) -> int | None:
    """Cores that a container's share of time comes to, rounded up; None where no limit is set or told.

    A process under such a limit (``docker run --cpus 2``, a Pod's ``limits``) still sees every core of its machine.
    With a thread for each of them it would be stopped for most of the time.

    Args:
        control_groups: where Linux tells it, in its second version's files or its first's.
        membership: in which of them this process is.
    """
    shares = []
    for group in _groups("cpu", control_groups, membership):
        words = _words(group / "cpu.max") or _words(group / "cpu.cfs_quota_us") + _words(group / "cpu.cfs_period_us")
        if len(words) == 2 and words[0].isdigit():  # neither "max" nor -1
            shares.append(int(words[0]) / int(words[1]))
    return max(1, math.ceil(min(shares))) if shares else None


def usable_cores() -> int:
    """Cores that this process may use: those it is bound to, or fewer where its container's share of time is less."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(bound, core_quota() or bound)


def usable_memory(control_groups: Path = _CONTROL_GROUPS, membership: Path = _MEMBERSHIP) -> int:
    """Bytes of the machine's memory, or fewer where this process's container has a limit.

    Args:
        control_groups: where Linux tells it, in its second version's files or its first's.
        membership: in which of them this process is.
    """
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for group in _groups("memory", control_groups, membership):
        for name in ("memory.max", "memory.limit_in_bytes"):
            limits += [int(word) for word in _words(group / name) if word.isdigit()]
    return min(limits)


def _groups(controller: str, control_groups: Path, membership: Path) -> list[Path]:
    """The folders of a process's control group and of those above it, in both versions; limits of all of them hold."""
    # A container sees its own group as the root, whatever the path is outside.
    found = [control_groups, control_groups / controller]
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        group = control_groups / controller if controllers else control_groups
        for name in Path(path).parts[1:]:
            group /= name
            found.append(group)
    return found


def _words(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="ascii").split()
    except OSError:
        return []
