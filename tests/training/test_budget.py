from __future__ import annotations

import pytest

from pointrend.errors import ConfigError
from pointrend.training.budget import seconds


@pytest.mark.parametrize(("text", "expected"), [("90s", 90), ("25m", 1500), ("1.5h", 5400), ("1h30m", 5400)])
def test_times(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "25", "m", "0s", "-5m", "5m x", "five minutes"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ConfigError, match="such as 90s, 25m or 2h"):
        seconds(text)
