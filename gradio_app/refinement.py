"""What "How PointRend works" shows: one object's mask after each step, enlarged.

Shapes: h, w of the enlarged window on the object, in pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pointrend.client import Client
from pointrend.images.decode import decode
from pointrend.structures.labels import instance_labels
from pointrend.structures.options import OptionKeywords
from pointrend.structures.prediction import Instance, Prediction

Picture = NDArray[np.uint8]

SIDES = (7, 28, 56, 112, 224)  # of the mask's grid, by refinement, in models with the usual 784 points a step
OBJECTS = 10  # that may be chosen from
LOWEST_SCORE = 0.3
WINDOW_SIDE = 640  # the longer side of what is shown, in pixels
_MARGIN = 0.15  # of the box's longer side, around it
_MASK = (79, 70, 229)
_POINT = (255, 196, 0)


@dataclass(frozen=True)
class RefinementTrace:
    """A photo and its objects' masks after each step.

    Attributes:
        photo: (H, W, 3) uint8 RGB.
        steps: by refinement, with the points that each step recomputed; one alone where the model refines none.
        constant: with the constant 28x28 head; None where the model carries none.
        labels: of the objects, the same in every prediction.
    """

    photo: Picture = field(repr=False)
    steps: tuple[Prediction, ...] = field(repr=False)
    constant: Prediction | None = field(repr=False)
    labels: tuple[str, ...]

    @classmethod
    def ask(cls, client: Client, data: bytes, *, on_step: Callable[[int, int], None]) -> RefinementTrace:
        """Ask for every step.

        Args:
            client: of the server.
            data: the photo's file.
            on_step: is told before each request its number, from 0, and how many there are.

        Raises:
            RequestError: the server refused one, or is not there.
        """
        about = client.describe()
        refinements = range(len(SIDES)) if about["refines_points"] else ()
        common: OptionKeywords = {"score_threshold": LOWEST_SCORE, "max_detections": OBJECTS}
        asked: list[OptionKeywords] = [
            {**common, "refinement": step, "exact": True, "points": True} for step in refinements
        ]
        asked = asked or [common]
        if "conv" in about["mask_heads"] and about["refines_points"]:
            asked.append({**common, "mask_head": "conv"})
        answers = []
        for number, options in enumerate(asked):
            on_step(number, len(asked))
            answers.append(client.segment(data, **options))
        steps = tuple(answers[: len(refinements) or 1])
        constant = answers[-1] if len(answers) > len(steps) else None
        return cls(decode(data), steps, constant, tuple(instance_labels(steps[0])))

    def draw_step(self, chosen: int, step: int, *, points: bool) -> Picture:
        """The object's mask after a step, (h, w, 3) uint8 RGB.

        Args:
            chosen: the object's place.
            step: the refinement, from 0; beyond the last one the last is shown.
            points: draw those that the step recomputed.
        """
        prediction = self.steps[min(step, len(self.steps) - 1)]
        window = _Window.around(prediction.instances[chosen], prediction)
        drawn = window.draw(self.photo, prediction.instances[chosen])
        if points:
            window.draw_points(drawn, prediction.instances[chosen].points or ())
        return np.asarray(drawn)

    def draw_comparison(self, chosen: int) -> tuple[Picture, Picture] | None:
        """The object with the constant head's mask and with the whole PointRend's, or None without such a head."""
        if self.constant is None:
            return None
        full = self.steps[-1]
        window = _Window.around(full.instances[chosen], full)
        left, right = self.constant.instances[chosen], full.instances[chosen]
        return np.asarray(window.draw(self.photo, left)), np.asarray(window.draw(self.photo, right))

    def explain(self, chosen: int, step: int) -> str:
        """One sentence on what a step did to the object."""
        if len(self.steps) == 1:
            return "This model does not refine its masks at points: there is one step only."
        points = len(self.steps[step].instances[chosen].points or ())
        side = SIDES[step]
        if step == 0:
            return f"**Step 0, {side} x {side}.** The coarse head guesses the whole object at once, in {side**2} cells."
        if step == 1:
            return (
                f"**Step 1, {side} x {side}.** The point head answers at {points} points, one a cell: it sees the fine "
                "features there and the coarse guess."
            )
        share = points / side**2
        return (
            f"**Step {step}, {side} x {side}.** The mask is doubled, and asked again only at the {points} points where "
            f"it is least certain, {share:.0%} of its {side**2:,} cells. They gather along the outline."
        )


@dataclass(frozen=True, slots=True)
class _Window:
    """A part of the photo, enlarged.

    Attributes:
        box: left, top, right, bottom in the photo, in pixels.
        scale: how many pixels of the window a pixel of the photo has.
    """

    box: tuple[int, int, int, int]
    scale: float

    @classmethod
    def around(cls, instance: Instance, prediction: Prediction) -> _Window:
        x, y, width, height = instance.bbox
        margin = max(4.0, _MARGIN * max(width, height))
        left, top = max(0, int(x - margin)), max(0, int(y - margin))
        right = min(prediction.width, int(np.ceil(x + width + margin)))
        bottom = min(prediction.height, int(np.ceil(y + height + margin)))
        return cls((left, top, right, bottom), WINDOW_SIDE / max(right - left, bottom - top))

    @property
    def size(self) -> tuple[int, int]:
        left, top, right, bottom = self.box
        return max(1, round((right - left) * self.scale)), max(1, round((bottom - top) * self.scale))

    def draw(self, photo: Picture, instance: Instance) -> Image.Image:
        """The window with the mask over it; its pixels stay square, so that its steps are seen."""
        left, top, right, bottom = self.box
        base = Image.fromarray(photo[top:bottom, left:right]).resize(self.size, Image.Resampling.BICUBIC)
        mask = instance.mask(photo.shape[:2])[top:bottom, left:right]
        stencil = Image.fromarray(mask.astype(np.uint8) * np.uint8(140)).resize(self.size, Image.Resampling.NEAREST)
        base.paste(_MASK, (0, 0), stencil)
        return base

    def draw_points(self, drawn: Image.Image, points: tuple[tuple[float, float], ...]) -> None:
        draw = ImageDraw.Draw(drawn)
        for x, y in points:
            across, down = (x - self.box[0]) * self.scale, (y - self.box[1]) * self.scale
            draw.ellipse((across - 2, down - 2, across + 2, down + 2), fill=_POINT, outline=(0, 0, 0, 255))
