"""What the tests of the door share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from doors import SECRET, MakeDoor

from front.door import Door, Limits, Upstreams
from front.settings import Settings
from pointrend.processes import free_ports


@pytest.fixture(scope="session")
def photo() -> bytes:
    return (Path(__file__).parents[1] / "demo" / "chelsea.png").read_bytes()


@pytest.fixture(scope="module")
def make_door() -> Iterator[MakeDoor]:
    """Opens doors to any upstreams; all are closed at the end of the module."""
    with ExitStack() as stack:

        def make(upstreams: Upstreams, **variables: str) -> Door:
            port, rpc = free_ports(2)
            given = {
                "POINTREND_ROLE": "server",
                "PORT": str(port),
                "POINTREND_GRPC_PORT": str(rpc),
                "POINTREND_TOKEN": SECRET,
                "POINTREND_DRAIN_SECONDS": "20",
                "POINTREND_RATE": "1000",
            }
            settings = Settings.read(given | variables)
            door = stack.enter_context(Door(settings, upstreams, Limits.of_server()))
            door.wait_ready()
            return door

        yield make
