"""How much of an answer a client takes."""

from __future__ import annotations

from dataclasses import dataclass

from pointrend.structures.prediction import MAX_PIXELS


@dataclass(frozen=True, slots=True)
class ResponseLimits:
    """What an answer may cost the one who asked; the defaults are what a server sends by its own defaults.

    Attributes:
        max_bytes: of a body, and of what a zip holds once it is unpacked.
        max_pixels: of the image that a prediction is of, and of each picture.
    """

    max_bytes: int = 40 * 2**20
    max_pixels: int = MAX_PIXELS
