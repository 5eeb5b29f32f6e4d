"""A prediction drawn on its image, for notebooks and viewers."""

from __future__ import annotations

from PIL import Image

from pointrend.images.inputs import ImageInput, pixels
from pointrend.structures.prediction import Prediction
from pointrend.visualize.overlay import overlay


def show(image: ImageInput, prediction: Prediction, *, opacity: float = 0.5, max_side: int = 1024) -> Image.Image:
    """Draw a prediction on its image; as the last line of a notebook's cell the result is displayed.

    >>> import numpy as np
    >>> show(np.zeros((40, 60, 3), np.uint8), Prediction(60, 40, (), {})).size
    (60, 40)

    Args:
        image: what was segmented: a path, a file's bytes, an HWC uint8 RGB array or a PIL image.
        prediction: what was found in it.
        opacity: of the masks' fill, from 0 (outlines only) to 1.
        max_side: longest side of the result in pixels; larger images are scaled down after drawing.

    Raises:
        ValueError: the image's size is not the prediction's, or the opacity is out of range.
        OSError, TypeError, RequestError: the image cannot be read; see :func:`pointrend.images.inputs.pixels`.
    """
    drawn = Image.fromarray(overlay(pixels(image), prediction, opacity))
    drawn.thumbnail((max_side, max_side))
    return drawn
