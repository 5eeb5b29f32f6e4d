"""How a prediction shows itself in a notebook."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from pointrend.images.inputs import pixels
from pointrend.visualize.overlay import overlay

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pointrend.structures.prediction import Prediction

LONGEST_SIDE = 1024
GREY = 96


def picture(prediction: Prediction) -> bytes:
    """Draw what was found, on the prediction's photo or else on grey, as a PNG of at most :data:`LONGEST_SIDE`.

    A photo that cannot be read any more, or is another by now, gives grey too: showing a result must not fail.
    """
    drawn = Image.fromarray(overlay(_ground(prediction), prediction))
    drawn.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    file = io.BytesIO()
    drawn.save(file, "PNG", compress_level=1)
    return file.getvalue()


def _ground(prediction: Prediction) -> NDArray[np.uint8]:
    size = prediction.height, prediction.width
    if prediction.photo is not None:
        try:
            photo = pixels(prediction.photo)
        except Exception:
            # A path that is gone, a file that was replaced by another kind: in one of many ways.
            photo = np.empty((0, 0, 3), np.uint8)
        if photo.shape[:2] == size:
            return photo
    return np.full((*size, 3), GREY, np.uint8)
