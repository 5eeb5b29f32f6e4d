"""Ports for tests that run `pointrend up`, which takes several beside each other."""

from __future__ import annotations

import socket

from pointrend.system.processes import free_ports


def free_server_port() -> int:
    """A port whose neighbours and gRPC companions are free too."""
    for port in free_ports(50):
        taken = [port, port + 1, port + 2, port - 1010, port - 1009]
        if all(1024 < each < 65000 and is_free(each) for each in taken):
            return port
    raise AssertionError("no run of free ports was found")


def is_free(port: int) -> bool:
    """Whether nobody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
