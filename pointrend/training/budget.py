"""A budget of time as people write it."""

from __future__ import annotations

import re

from pointrend.errors import ConfigError

_UNITS = {"s": 1, "m": 60, "h": 3600}


def seconds(text: str) -> float:
    """``90s``, ``25m``, ``1.5h`` or ``1h30m`` in seconds.

    Raises:
        ConfigError: anything else, or nothing.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)([smh])", text)
    total = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if "".join(number + unit for number, unit in parts) != text or total <= 0:
        raise ConfigError(f"A budget is a time such as 90s, 25m or 2h, not {text!r}.")
    return total
