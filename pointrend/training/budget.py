"""How long a training lasts, as people write it: a time, or a number of steps."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from pointrend.errors import ConfigError
from pointrend.training.state import Progress

_UNITS = {"s": 1, "m": 60, "h": 3600}
_MOST_STEPS = 100_000_000


@dataclass(frozen=True, slots=True)
class Budget:
    """What a training may use up, over all its runs. The same steps give the same model on a machine of any speed.

    Attributes:
        amount: seconds of training, or steps; more than 0.
        unit: which of the two.
    """

    amount: float
    unit: Literal["s", "steps"]

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read a time, as :func:`seconds` does, or ``600steps``.

        Raises:
            ConfigError: anything else, or nothing.
        """
        if found := re.fullmatch(r"(\d{1,9}) ?steps", text):
            steps = int(found[1])
            if not 1 <= steps <= _MOST_STEPS:
                raise ConfigError(f"A budget of steps is from 1 to {_MOST_STEPS}, not {steps}.")
            return cls(steps, "steps")
        return cls(seconds(text, "A budget", ", or steps such as 600steps"), "s")

    def used(self, progress: Progress) -> float:
        """How much of the amount is used up, in its unit."""
        return progress.step if self.unit == "steps" else progress.seconds

    def is_used_up(self, progress: Progress) -> bool:
        """Whether nothing of it is left."""
        return self.used(progress) >= self.amount

    def __str__(self) -> str:
        return f"{self.amount:.0f} {self.unit}"


def seconds(text: str, what: str = "A period", also: str = "") -> float:
    """``90s``, ``25m``, ``1.5h`` or ``1h30m`` in seconds.

    Args:
        text: to read.
        what: it is, for the error.
        also: what else it might be, for the error.

    Raises:
        ConfigError: anything else, or nothing.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)([smh])", text)
    total = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if "".join(number + unit for number, unit in parts) != text or total <= 0:
        raise ConfigError(f"{what} is a time such as 90s, 25m or 2h{also}, not {text!r}.")
    return total
