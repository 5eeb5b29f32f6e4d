"""What an image may cost, apart from what decodes it: who only states the limits needs no image library."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """What an image may cost.

    Attributes:
        max_bytes: size of the file.
        max_pixels: width times height; 50 million cover every phone's image at about 150 MB as RGB.
        max_side: width and height each, in pixels.
        max_memory: bytes that decoding may hold at a time, by :func:`pointrend.images.memory.decoding_bytes`.
    """

    max_bytes: int = 20 * 1024 * 1024
    max_pixels: int = 50_000_000
    max_side: int = 30_000
    max_memory: int = 600_000_000
