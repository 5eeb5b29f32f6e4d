"""A frame with its objects drawn: each in the colour of its number, from its first frame to its last."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pointrend.structures.prediction import Prediction
from pointrend.visualize.overlay import Style, overlay
from pointrend.visualize.palettes import Colour, colour

UNNUMBERED: Colour = (150, 150, 150)
"""Of what was not seen often enough to have a number."""


def draw(
    pixels: NDArray[np.uint8], prediction: Prediction, ids: Sequence[int | None], opacity: float = 0.5
) -> NDArray[np.uint8]:
    """Draw a frame's objects.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        prediction: what was found in it.
        ids: the number of each instance.
        opacity: of the masks' fill, 0 to 1.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    styles: list[Style] = [
        (each.name, UNNUMBERED) if number is None else (f"{each.name} {number}", colour(number - 1))
        for each, number in zip(prediction.instances, ids, strict=True)
    ]
    return overlay(pixels, prediction, opacity, styles=styles)
