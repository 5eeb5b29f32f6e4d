"""Masks refined for as long as time allows, the most important ones first.

Shapes: R regions, S side of a mask in cells.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from torch import Tensor

from pointrend.modeling.roi_heads.mask_chunk import MaskChunk

Clock = Callable[[], float]
"""Tells seconds."""


@dataclass(frozen=True, slots=True)
class Budget:
    """The time that an answer may take.

    Attributes:
        end: when it is over, in the clock's seconds.
        clock: tells the time.
    """

    end: float
    clock: Clock = time.perf_counter

    @classmethod
    def of(cls, milliseconds: int, started: float | None = None, clock: Clock = time.perf_counter) -> Budget:
        """So many milliseconds from ``started``, or, without it, from now."""
        return cls((clock() if started is None else started) + milliseconds / 1000, clock)

    @property
    def is_spent(self) -> bool:
        """Whether its time is over."""
        return self.clock() >= self.end


def refine_within(chunks: Sequence[MaskChunk], importance: Sequence[Tensor], budget: Budget) -> None:
    """Refine masks until the budget is spent: each time those whose importance over S * S is greatest.

    The first grid, 28 cells a side instead of 7, improves masks more than all further ones together: nearly all have it
    before any has a finer one. A mask's own uncertainty does not count, since the most uncertain masks are those that
    steps improve least.

    The clock is asked before each step, so the last one ends later than the budget by less than its own time. The order
    of the steps does not depend on the budget: with more time the same steps are done, and others after them. Masks
    that are refined as far as was asked for are those of no budget, bit by bit.

    Args:
        chunks: of one image; they are refined in place.
        importance: of the masks of each chunk, (R,): more of it is refined earlier.
        budget: for all of them.
    """
    weights = [float(each.mean()) for each in importance]

    def place(index: int) -> tuple[float, int]:
        return -weights[index] / chunks[index].logits.shape[-1] ** 2, index

    waiting = [place(index) for index, chunk in enumerate(chunks) if not chunk.is_finished]
    heapify(waiting)
    while waiting and not budget.is_spent:
        _, index = heappop(waiting)
        chunk = chunks[index]
        chunk.step()
        if chunk.logits.device.type != "cpu":
            chunk.logits[0, 0, 0].item()  # waits for it: otherwise only its launch would be timed
        if not chunk.is_finished:
            heappush(waiting, place(index))
