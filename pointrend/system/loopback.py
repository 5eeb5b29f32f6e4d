"""Which names of a host stand for this machine."""

from __future__ import annotations

import ipaddress


def is_loopback(name: str) -> bool:
    """Whether a host's name stands for this machine: localhost, or an address of loopback.

    >>> [is_loopback(name) for name in ("localhost", "127.0.0.1", "[::1]", "10.0.0.1", "localhost.example.org")]
    [True, True, True, False, False]

    Args:
        name: IPv6 with or without brackets.
    """
    if name.lower() in ("localhost", "localhost."):
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False
