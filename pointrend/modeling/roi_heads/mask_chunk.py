"""Masks that are refined together, one step at a time, so that refinement can stop between any two steps.

Shapes: R regions of a chunk, K classes, X context maps, S side of a mask in cells. Boxes are (x0, y0, x1, y1) in pixels
of the network's input.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from pointrend.modeling.point_rend import FeatureMap, PointHead, double, predict_everywhere


class PointFeatures:
    """The map that points are read from; it is made ready when the first one is.

    Args:
        make: makes it.
    """

    def __init__(self, make: Callable[[], FeatureMap]) -> None:
        self._make = make

    @cached_property
    def map(self) -> FeatureMap:
        """The map."""
        return self._make()

    def make_ready(self) -> None:
        """Make the map, before several threads would."""
        _ = self.map


@dataclass(slots=True, eq=False)
class MaskChunk:
    """Regions whose masks are refined together.

    Attributes:
        place: where they are among the regions that were asked for.
        logits: (R, S, S), as far as they are refined: the coarse masks at first.
        steps: how often :meth:`step` can be called.
        done: how often it was.
        head: predicts points.
        features: what they are predicted from.
        first_side: S after the first step.
        points: how many each further step predicts anew, at most.
        boxes: (R, 4).
        classes: (R,) rows of the head's predictor.
        coarse: (R, K + X, 7, 7) coarse logits, and context.
    """

    place: slice
    logits: Tensor
    steps: int
    head: PointHead
    features: PointFeatures
    first_side: int
    points: tuple[int, ...]
    boxes: Tensor
    classes: Tensor
    coarse: Tensor
    done: int = 0

    @property
    def is_finished(self) -> bool:
        """Whether no step is left."""
        return self.done >= self.steps

    def step(self) -> None:
        """Refine once: the first step predicts a grid as a whole, and each further one doubles it.

        Raises:
            ValueError: no step is left.
        """
        if self.is_finished:
            raise ValueError("These masks are refined as far as was asked for.")
        regions = (self.head, self.features.map, self.boxes, self.classes, self.coarse)
        if self.done == 0:
            self.logits = predict_everywhere(*regions, self.first_side)
        else:
            self.logits = double(*regions, self.logits, self.points[self.done - 1])
        self.done += 1
