"""How a process ended, in words."""

from __future__ import annotations

import signal


def how_ended(status: int) -> str:
    """A process' end in words.

    Args:
        status: its exit status, or minus the number of the signal that ended it.
    """
    if status < 0:
        return f"was ended by {_signal_name(-status)}"
    if 128 < status < 128 + signal.NSIG:  # what shells and Java make of a signal
        return f"ended with exit status {status}, which stands for {_signal_name(status - 128)}"
    return f"ended with exit status {status}"


def _signal_name(number: int) -> str:
    try:
        name = f"{signal.Signals(number).name} ({number})"
    except ValueError:
        return f"signal {number}"
    return f"{name}, often the system's out-of-memory killer" if number == signal.SIGKILL else name
