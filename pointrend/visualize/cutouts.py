"""Objects cut out of their image: each mask's window as a picture whose background is transparent.

Shapes: H, W of the image, h, w of a mask's window, in pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointrend.images.encode import encode_png
from pointrend.masks.alpha import SOFT, Alpha, alpha_window
from pointrend.structures.labels import file_name, instance_labels
from pointrend.structures.prediction import Instance, Prediction
from pointrend.visualize.foreground import foreground


@dataclass(frozen=True, slots=True)
class Cutout:
    """One object.

    Attributes:
        name: ``person-2``: its category, safe in a file's name, and its number there from the best score down.
        instance: what it was cut out for.
        x, y: left and top of ``pixels`` in the image.
        pixels: (h, w, 4) uint8 RGBA, not premultiplied: opaque inside the mask, transparent outside. The window of
            soft edges is up to a pixel wider at each side than the mask; what is transparent there is black.
    """

    name: str
    instance: Instance
    x: int
    y: int
    pixels: NDArray[np.uint8]

    def png(self) -> bytes:
        """As a PNG file."""
        return encode_png(self.pixels)


def cutouts(image: NDArray[np.uint8], prediction: Prediction, alpha: Alpha = SOFT) -> Iterator[Cutout]:
    """Cut out every instance, best first; those with an empty mask are left out.

    Args:
        image: (H, W, 3) uint8 RGB, the upright image that ``prediction`` is of.
        prediction: with masks.
        alpha: ``soft`` anti-aliases the outline and leaves the old background's colours out of it; ``hard`` is exactly
            the mask, with the image's colours everywhere.

    Raises:
        ValueError: the image's size is not the prediction's, or an instance has no mask.
    """
    size = prediction.height, prediction.width
    if image.shape[:2] != size:
        raise ValueError(f"The image has {image.shape[:2]} rows and columns and the prediction's has {size}.")
    for instance, label in zip(prediction.instances, instance_labels(prediction), strict=True):
        if instance.segmentation is None:
            raise ValueError("Objects without masks cannot be cut out: they were predicted with masks=none.")
        x, y, opacity = alpha_window(instance.segmentation, size, alpha)
        if opacity.size:
            height, width = opacity.shape
            colours = image[y : y + height, x : x + width]
            if alpha == SOFT:
                colours = foreground(colours, opacity)
            pixels = np.concatenate((colours, opacity[..., None]), axis=2)
            yield Cutout(file_name(label), instance, x, y, pixels)
