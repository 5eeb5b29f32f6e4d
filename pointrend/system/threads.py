"""How long PyTorch's threads spin while they wait for each other.

Threads of OpenMP share an operation and wait for the last one at its end. libgomp, PyTorch's OpenMP on Linux, lets them
spin for milliseconds first, which is quick as long as each has a core. Where others need the cores too, the thread that
is waited for has none, and those that spin keep it from getting one: a prediction takes many times as long.
``benchmarks/contention.py`` measures both.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, MutableMapping
from pathlib import Path

VARIABLE = "POINTREND_THREADS"
"""Tells each of several workers of a server how many threads are its share, unless its archive says how many."""
SPIN_COUNT = "GOMP_SPINCOUNT"
TURNS = 10_000
"""Turns of libgomp's loop before a thread sleeps: some tenths of a millisecond, in place of its 300,000.

Longer than the code between two operations takes, so that threads seldom sleep while a model has the cores to itself.
"""
TURNS_WHILE_FREE = 100_000
"""As many where :mod:`pointrend.system.spinning` ends that once others need the cores."""
WAITED = Path("/proc/thread-self/schedstat")
"""Where Linux describes the thread that reads it: nanoseconds on a core, nanoseconds of waiting for one, and turns."""
_OWN = (SPIN_COUNT, "OMP_WAIT_POLICY")  # either tells libgomp how to wait


def spins_while_free(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether threads spin so long that :mod:`pointrend.system.spinning` must end it where others need the cores.

    They do as :func:`limit_spinning` has it, and by libgomp's own default where PyTorch was loaded before this package,
    as in a notebook.

    Args:
        environment: of this process.
    """
    return "OMP_WAIT_POLICY" not in environment and environment.get(SPIN_COUNT) in {None, str(TURNS_WHILE_FREE)}


def limit_spinning(environment: MutableMapping[str, str] = os.environ) -> None:
    """Have threads sleep soon, unless the environment says how they wait, or PyTorch, too late then, is loaded.

    Child processes inherit it. Other OpenMP libraries, on macOS for instance, do not know the variable.

    Args:
        environment: which libgomp reads, once, when it is loaded.

    Example:
        >>> environment = {"OMP_WAIT_POLICY": "active"}
        >>> limit_spinning(environment)
        >>> environment
        {'OMP_WAIT_POLICY': 'active'}
    """
    if "torch" not in sys.modules and not any(name in environment for name in _OWN):
        environment[SPIN_COUNT] = str(TURNS_WHILE_FREE if WAITED.is_file() else TURNS)
