from __future__ import annotations

import pytest

from pointrend.errors import ConfigError
from pointrend.training.budget import Budget, seconds
from pointrend.training.state import Progress


@pytest.mark.parametrize(("text", "expected"), [("90s", 90), ("25m", 1500), ("1.5h", 5400), ("1h30m", 5400)])
def test_times(text: str, expected: float) -> None:
    assert seconds(text) == expected
    assert Budget.parse(text) == Budget(expected, "s")


@pytest.mark.parametrize("text", ["", "25", "m", "0s", "-5m", "5m x", "five minutes"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ConfigError, match="A period is a time such as 90s, 25m or 2h, not"):
        seconds(text)
    with pytest.raises(ConfigError, match="or steps such as 600steps, not"):
        Budget.parse(text)


def test_steps() -> None:
    budget = Budget.parse("600steps")
    assert (budget, str(budget)) == (Budget.parse("600 steps"), "600 steps")
    assert not budget.is_used_up(Progress(step=599, seconds=1e6))
    assert budget.is_used_up(Progress(step=600))
    with pytest.raises(ConfigError, match=r"from 1 to 100000000, not 0\."):
        Budget.parse("0steps")


def test_a_time_is_used_up_by_seconds() -> None:
    budget = Budget.parse("2m")
    assert budget.used(Progress(step=9, seconds=30.0)) == 30
    assert not budget.is_used_up(Progress(step=10_000, seconds=119.9))
    assert budget.is_used_up(Progress(seconds=120.0))
