"""Cross-validation: images dealt into folds by their names, the same in training and in judging."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from pointrend.errors import ConfigError

MOST_FOLDS = 20


def fold_of(file_name: str, folds: int) -> int:
    """The fold, from 0 to ``folds - 1``, of an image; its name alone decides, so that more images change nothing."""
    return int.from_bytes(hashlib.sha256(file_name.encode()).digest()[:8]) % folds


@dataclass(frozen=True, slots=True)
class Fold:
    """One part of the images, which a model does not learn from.

    Attributes:
        number: from 0.
        folds: how many parts there are.
    """

    number: int
    folds: int

    @classmethod
    def parse(cls, text: str) -> Fold:
        """Read ``2/3``, the second of three.

        Raises:
            ConfigError: it is no such part.
        """
        match = re.fullmatch(r"(\d{1,3})/(\d{1,3})", text.strip())
        number, folds = (int(part) for part in match.groups()) if match else (0, 0)
        if not 1 <= number <= folds or not 2 <= folds <= MOST_FOLDS:
            raise ConfigError(f"fold must be one of at most {MOST_FOLDS} parts, such as 2/3, not {text!r}.")
        return cls(number - 1, folds)

    def holds(self, file_name: str) -> bool:
        """Whether an image belongs to it."""
        return fold_of(file_name, self.folds) == self.number
