"""One training example: a crop of an image with what is labelled in it.

Shapes: S side of the square crop in pixels, G labelled objects in it, C crowd regions, K categories of the model.
Boxes are (x0, y0, x1, y1) in pixels of the crop.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Sample:
    """A crop and its labels.

    Attributes:
        image: (S, S, 3) uint8 RGB; outside the image it is filled with grey.
        boxes: (G, 4) float32, each the tight box of its mask within the crop.
        classes: (G) int64 category indices, 0 to K - 1.
        masks: (G, S, S) bool.
        neutral: (C, 4) float32 boxes of crowds and of objects that the crop has cut to slivers: what overlaps them is
            neither object nor background.
        labelled: (K) bool: the categories that this image's source labels. Of the others there may be objects without
            a mask.
    """

    image: Tensor
    boxes: Tensor
    classes: Tensor
    masks: Tensor
    neutral: Tensor
    labelled: Tensor
