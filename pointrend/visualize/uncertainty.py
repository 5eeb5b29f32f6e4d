"""Where a model is unsure: the image in grey, and colour over the pixels that may or may not belong to an object.

Shapes: H, W of the image, h, w of a mask's window, in pixels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pointrend.masks.probabilities import LEVELS
from pointrend.structures.prediction import Prediction

# Matplotlib's "inferno" (CC0) at equal steps from its second quarter on: it brightens evenly, in print too.
RAMP = np.array([(87, 16, 110), (137, 34, 106), (187, 55, 84), (227, 89, 51), (249, 140, 10), (249, 201, 50)])
GREY_SHARE = 0.6  # of the image's brightness, so that the colours stand out


def uncertainty_map(prediction: Prediction) -> NDArray[np.uint8]:
    """How unsure the model is of each pixel, of the least certain object there.

    Args:
        prediction: with probabilities (``masks=probability``).

    Returns:
        (H, W) uint8: 0 where it is sure, or nothing was found, to 255 where a pixel is as likely in as out.
    """
    doubt = np.zeros((prediction.height, prediction.width), dtype=np.uint8)
    for instance in prediction.instances:
        if instance.probabilities is None:
            continue
        x, y, crop = instance.probability_crop()
        height, width = crop.shape
        window = doubt[y : y + height, x : x + width]
        # The doubt in v and in 255 - v is the same, and full in the two levels around 0.5.
        np.maximum(window, 2 * np.minimum(crop, LEVELS - 1 - crop) + (crop > 0) * (crop < LEVELS - 1), out=window)
    return doubt


def uncertainty_picture(image: NDArray[np.uint8], prediction: Prediction) -> NDArray[np.uint8]:
    """Draw :func:`uncertainty_map` over the image in grey: from purple, a little unsure, to yellow, undecided.

    Args:
        image: (H, W, 3) uint8 RGB, the upright image that ``prediction`` is of.
        prediction: with probabilities (``masks=probability``).

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ValueError: the image's size is not the prediction's.
    """
    if image.shape[:2] != (prediction.height, prediction.width):
        raise ValueError(f"The image has {image.shape[:2]} rows and columns, not the prediction's.")
    doubt = uncertainty_map(prediction)
    grey = (np.asarray(Image.fromarray(image).convert("L")) * np.float32(GREY_SHARE)).astype(np.uint8)
    picture = np.repeat(grey[..., None], 3, axis=2)
    unsure = doubt > 0
    levels = doubt[unsure] / 255  # (U)
    places = levels * (len(RAMP) - 1)
    colours = np.stack([np.interp(places, np.arange(len(RAMP)), RAMP[:, channel]) for channel in range(3)], axis=1)
    opacity = levels[:, None]
    picture[unsure] = np.round(picture[unsure] * (1 - opacity) + colours * opacity).astype(np.uint8)
    return picture
