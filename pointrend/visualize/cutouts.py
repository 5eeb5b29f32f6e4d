"""Objects cut out of their image: each mask's window as a picture whose background is transparent.

Shapes: H, W of the image, h, w of a mask's window, in pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointrend.images.encode import encode_png
from pointrend.masks.decode import window
from pointrend.structures.labels import file_name, instance_labels
from pointrend.structures.prediction import Instance, Prediction


@dataclass(frozen=True, slots=True)
class Cutout:
    """One object.

    Attributes:
        name: ``person-2``: its category, safe in a file's name, and its number there from the best score down.
        instance: what it was cut out for.
        x, y: left and top of ``pixels`` in the image.
        pixels: (h, w, 4) uint8 RGBA, not premultiplied: opaque inside the mask, transparent outside.
    """

    name: str
    instance: Instance
    x: int
    y: int
    pixels: NDArray[np.uint8]

    def png(self) -> bytes:
        """As a PNG file."""
        return encode_png(self.pixels)


def cutouts(image: NDArray[np.uint8], prediction: Prediction) -> Iterator[Cutout]:
    """Cut out every instance, best first; those with an empty mask are left out.

    Args:
        image: (H, W, 3) uint8 RGB, the upright image that ``prediction`` is of.
        prediction: with masks.

    Raises:
        ValueError: the image's size is not the prediction's, or an instance has no mask.
    """
    size = prediction.height, prediction.width
    if image.shape[:2] != size:
        raise ValueError(f"The image has {image.shape[:2]} rows and columns and the prediction's has {size}.")
    for instance, label in zip(prediction.instances, instance_labels(prediction), strict=True):
        if instance.segmentation is None:
            raise ValueError("Objects without masks cannot be cut out: they were predicted with masks=none.")
        x, y, mask = window(instance.segmentation, size)
        if mask.size:
            height, width = mask.shape
            alpha = mask[..., None].astype(np.uint8) * np.uint8(255)
            pixels = np.concatenate((image[y : y + height, x : x + width], alpha), axis=2)
            yield Cutout(file_name(label), instance, x, y, pixels)
