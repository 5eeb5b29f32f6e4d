"""What "How PointRend works" shows: one object's mask after each step, enlarged, and what each step costs.

Shapes: H, W of the photo; h, w of the enlarged window on an object, in pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pointrend.client import Client
from pointrend.images.decode import decode
from pointrend.structures.labels import instance_labels
from pointrend.structures.options import OptionKeywords
from pointrend.structures.prediction import Instance, Prediction

Picture = NDArray[np.uint8]
Mask = NDArray[np.bool_]

SIDES = (7, 28, 56, 112, 224)  # of the mask's grid, by refinement, in models with the usual 784 points a step
CONSTANT_SIDE = 28
OBJECTS = 10  # that may be chosen from
LOWEST_SCORE = 0.3
WINDOW_SIDE = 640  # the longer side of what is shown, in pixels
DETAIL_SHARE = 6  # the magnified detail is a square of this part of the window's longer side
_MARGIN = 0.15  # of the box's longer side, around it


@dataclass(frozen=True)
class RefinementTrace:
    """A photo and its objects' masks after each step.

    Attributes:
        photo: (H, W, 3) uint8 RGB.
        steps: by refinement; one alone where the model refines none.
        points: by refinement, a prediction with the points that the step recomputed; None for the coarse guess.
        constant: with the constant 28x28 head; None where the model carries none.
        labels: of the objects, the same in every prediction.
    """

    photo: Picture = field(repr=False)
    steps: tuple[Prediction, ...] = field(repr=False)
    points: tuple[Prediction | None, ...] = field(repr=False)
    constant: Prediction | None = field(repr=False)
    labels: tuple[str, ...]

    @classmethod
    def ask(cls, client: Client, data: bytes, *, on_step: Callable[[int, int], None]) -> RefinementTrace:
        """Ask for every step, and again for its points: finding them takes time that the step itself does not.

        Args:
            client: of the server.
            data: the photo's file.
            on_step: is told before each request its number, from 0, and how many there are.

        Raises:
            RequestError: the server refused one, or is not there.
        """
        about = client.describe()
        common: OptionKeywords = {"score_threshold": LOWEST_SCORE, "max_detections": OBJECTS}
        refines = about["refines_points"]
        asked: list[OptionKeywords] = [common]
        if refines:
            asked = [{**common, "refinement": step, "exact": True} for step in range(len(SIDES))]
            asked += [{**options, "points": True} for options in asked[1:]]
        if refines and "conv" in about["mask_heads"]:
            asked.append({**common, "mask_head": "conv"})
        answers = []
        for number, options in enumerate(asked):
            on_step(number, len(asked))
            answers.append(client.segment(data, **options))
        count = len(SIDES) if refines else 1
        steps, rest = tuple(answers[:count]), answers[count:]
        constant = rest.pop() if len(rest) == count else None
        return cls(decode(data), steps, (None, *rest), constant, tuple(instance_labels(steps[0])))

    def close_up(self, chosen: int) -> CloseUp:
        """One object, enlarged.

        Args:
            chosen: its place.
        """
        full = self.steps[-1]
        left, top, right, bottom = _window(full.instances[chosen], full)
        scale = WINDOW_SIDE / max(right - left, bottom - top)
        size = max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale))

        def cut(instance: Instance) -> Mask:
            mask = Image.fromarray(instance.mask(self.photo.shape[:2])[top:bottom, left:right])
            return np.asarray(mask.resize(size, Image.Resampling.NEAREST))

        places = [
            () if told is None else told.instances[chosen].points or () for told in self.points[: len(self.steps)]
        ]
        constant = self.constant
        return CloseUp(
            name=self.labels[chosen],
            picture=Image.fromarray(self.photo[top:bottom, left:right]).resize(size, Image.Resampling.BICUBIC),
            masks=tuple(cut(step.instances[chosen]) for step in self.steps),
            points=tuple(tuple(((x - left) * scale, (y - top) * scale) for x, y in told) for told in places),
            milliseconds=tuple(step.timing_ms["inference"] for step in self.steps),
            constant=None if constant is None else cut(constant.instances[chosen]),
            constant_milliseconds=None if constant is None else constant.timing_ms["inference"],
        )


@dataclass(frozen=True)
class CloseUp:
    """One object in an enlarged window; its pixels stay square, so that a mask's cells are seen.

    Attributes:
        name: of the object.
        picture: (h, w) RGB, the photo there.
        masks: by refinement, (h, w) each.
        points: by refinement, (x, y) in the window's pixels, of what the step recomputed.
        milliseconds: by refinement, what the server took for the whole photo with all its objects up to there.
        constant: (h, w), the constant 28x28 head's mask; None where the model has none.
        constant_milliseconds: as ``milliseconds``, with that head.
    """

    name: str
    picture: Image.Image = field(repr=False)
    masks: tuple[Mask, ...] = field(repr=False)
    points: tuple[tuple[tuple[float, float], ...], ...] = field(repr=False)
    milliseconds: tuple[float, ...]
    constant: Mask | None = field(repr=False)
    constant_milliseconds: float | None

    @property
    def overlaps(self) -> tuple[float, ...]:
        """By refinement, intersection over union with the last mask."""
        return tuple(_overlap(mask, self.masks[-1]) for mask in self.masks)

    @property
    def constant_overlap(self) -> float | None:
        """The constant head's intersection over union with the last mask."""
        return None if self.constant is None else _overlap(self.constant, self.masks[-1])

    @property
    def answers(self) -> tuple[int, ...]:
        """By refinement, points that the point head has answered up to there."""
        counts = [len(points) for points in self.points]
        return tuple(sum(counts[: step + 1]) for step in range(len(counts)))

    @cached_property
    def detail(self) -> tuple[int, int, int]:
        """(left, top, side) of the square in the window in which points change the mask most, from step to step."""
        height, width = self.masks[0].shape
        side = min(height, width, max(height, width) // DETAIL_SHARE)
        changed = np.zeros((height, width))
        for before, after in pairwise(self.masks[1:] or self.masks):
            changed += before != after
        if not changed.any():  # one step, or nothing to refine: the outline itself
            changed[:, 1:] += self.masks[-1][:, 1:] != self.masks[-1][:, :-1]
        total = np.pad(changed.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
        inside = total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side]
        top, left = np.unravel_index(int(inside.argmax()), inside.shape)
        return int(left), int(top), side

    def explain(self, step: int) -> str:
        """One or two sentences on what a step did to the object."""
        if len(self.masks) == 1:
            return "This model does not refine its masks at points: there is one step only."
        points, side = len(self.points[step]), SIDES[step]
        if step == 0:
            return f"{side} x {side}: the coarse head guesses the whole object at once, in {side**2} cells."
        if step == 1:
            return (
                f"{side} x {side}: the point head answers at {points} points, one a cell; it sees the fine features "
                f"there and the coarse guess. A step has {points} points, so in 14 x 14 cells, and in these, each cell "
                "would be answered: there is nothing to choose yet, and the smaller grid is left out."
            )
        return (
            f"{side} x {side}: the mask is doubled, and asked again only at the {points} points where it is least "
            f"certain, {points / side**2:.0%} of its {side**2:,} cells. They gather along the outline."
        )


def _overlap(one: Mask, other: Mask) -> float:
    union = int((one | other).sum())
    return int((one & other).sum()) / union if union else 1.0


def _window(instance: Instance, prediction: Prediction) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) in the photo around an object, with a margin."""
    x, y, width, height = instance.bbox
    margin = max(4.0, _MARGIN * max(width, height))
    left, top = max(0, int(x - margin)), max(0, int(y - margin))
    right = min(prediction.width, int(np.ceil(x + width + margin)))
    bottom = min(prediction.height, int(np.ceil(y + height + margin)))
    return left, top, right, bottom
