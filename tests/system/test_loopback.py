"""Names of this machine, and names that look like them."""

from __future__ import annotations

import pytest

from pointrend.system.loopback import is_loopback


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST.", "127.0.0.1", "127.8.8.8", "::1", "[::1]"])
def test_this_machine(name: str) -> None:
    assert is_loopback(name)


@pytest.mark.parametrize("name", ["", "0.0.0.0", "10.0.0.1", "127.0.0.1.example.org", "localhost.example.org", "[::]"])
def test_any_other(name: str) -> None:
    assert not is_loopback(name)
