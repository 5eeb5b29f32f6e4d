"""Ports for tests that run `pointrend up`, which takes several beside each other."""

from __future__ import annotations

import random
import socket

# Below those that the system hands out to connections, one of which may take a port between its choice and its use.
LOWEST, HIGHEST = 12_000, 30_000


def free_server_port() -> int:
    """A port whose neighbours and gRPC companions are free too."""
    for port in random.sample(range(LOWEST, HIGHEST), 50):
        if all(is_free(each) for each in (port, port + 1, port + 2, port - 1010, port - 1009)):
            return port
    raise AssertionError("no run of free ports was found")


def is_free(port: int) -> bool:
    """Whether nobody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
