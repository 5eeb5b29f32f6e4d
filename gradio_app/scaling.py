"""A prediction for the photo as it is shown, which is smaller than the photo itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pointrend.masks.decode import window
from pointrend.masks.rle import encode_crop
from pointrend.structures.prediction import Instance, Prediction


def scaled_prediction(prediction: Prediction, width: int, height: int) -> Prediction:
    """The prediction of the same photo at another size."""
    return replace(
        prediction,
        width=width,
        height=height,
        instances=tuple(scaled_instance(each, prediction, width, height) for each in prediction.instances),
    )


def scaled_instance(instance: Instance, prediction: Prediction, width: int, height: int) -> Instance:
    """The instance in the same photo, ``width`` x ``height`` pixels large."""
    across, down = width / prediction.width, height / prediction.height
    x, y, box_width, box_height = instance.bbox
    box = (x * across, y * down, box_width * across, box_height * down)
    if instance.segmentation is None:
        return replace(instance, bbox=box)
    left, top, mask = window(instance.segmentation, (prediction.height, prediction.width))
    if mask.size == 0:
        empty = encode_crop(np.zeros((0, 0), dtype=np.bool_), 0, 0, height, width)
        return replace(instance, bbox=box, segmentation=empty)
    # The window's edges fall between the screen's pixels: widen to whole ones, and read the mask at their centres.
    x0, y0 = int(left * across), int(top * down)
    x1 = min(width, int(np.ceil((left + mask.shape[1]) * across)))
    y1 = min(height, int(np.ceil((top + mask.shape[0]) * down)))
    columns = ((np.arange(x0, x1) + 0.5) / across - left).astype(int)
    rows = ((np.arange(y0, y1) + 0.5) / down - top).astype(int)
    inside_columns = (columns >= 0) & (columns < mask.shape[1])
    inside_rows = (rows >= 0) & (rows < mask.shape[0])
    small = np.zeros((y1 - y0, x1 - x0), dtype=np.bool_)
    small[np.ix_(inside_rows, inside_columns)] = mask[np.ix_(rows[inside_rows], columns[inside_columns])]
    return replace(instance, bbox=box, segmentation=encode_crop(small, x0, y0, height, width))
