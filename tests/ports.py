"""Ports for the servers that tests start: chosen first and bound later, and nobody takes them in between."""

from __future__ import annotations

import os
import random
import re
import socket

# Below those that the system hands out to connections, one of which may take a port between its choice and its use; and
# each of the test processes has a part of them.
LOWEST, HIGHEST = 12_000, 30_000
SHARES = 4
COMPANIONS = (0, 1, 2, -1010, -1009)  # of the one that `pointrend up` is given
_given: set[int] = set()  # what was chosen may not be bound yet


def free_ports(count: int) -> list[int]:
    """Loopback ports that nothing holds at the moment, all different."""
    ports: list[int] = []
    for port in random.sample(share(), 50 * count):
        if port not in _given and is_free(port):
            ports.append(port)
        if len(ports) == count:
            _given.update(ports)
            return ports
    raise AssertionError("no free ports were found")


def free_server_port() -> int:
    """A port whose neighbours and gRPC companions are free too."""
    mine = share()
    for port in random.sample(mine[-min(COMPANIONS) : -max(COMPANIONS)], 50):
        if all(port + each not in _given and is_free(port + each) for each in COMPANIONS):
            _given.update(port + each for each in COMPANIONS)
            return port
    raise AssertionError("no run of free ports was found")


def share() -> range:
    """The ports of this test process, or of the one that started this process."""
    worker = re.fullmatch(r"gw(\d+)", os.environ.get("PYTEST_XDIST_WORKER", ""))
    size = (HIGHEST - LOWEST) // SHARES
    first = LOWEST + (int(worker[1]) % SHARES if worker else 0) * size
    return range(first, first + size)


def is_free(port: int) -> bool:
    """Whether nobody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
