"""Encoding masks as COCO's compressed run lengths without building them at the photo's size."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask


def encode_crop(crop: NDArray[np.bool_], x: int, y: int, height: int, width: int) -> dict[str, Any]:
    """Encode a mask that is known inside a window only; it is empty elsewhere.

    COCO counts runs down the columns of the whole photo. The runs of the window are found in the window and their
    ends shifted to where the photo's pixels lie, so that the cost depends on the window alone.

    Args:
        crop: (h, w) bool, the window's mask.
        x, y: the window's left and top in the photo, in pixels; the window lies inside the photo.
        height, width: the photo's size in pixels.

    Returns:
        ``{"size": [height, width], "counts": str}``.

    Raises:
        ValueError: the window does not lie inside the photo.
    """
    rows, columns = crop.shape
    if not (0 <= x <= width - columns and 0 <= y <= height - rows):
        raise ValueError(f"A window of {columns}x{rows} at ({x}, {y}) is not inside a photo of {width}x{height}.")
    # One empty row above and below each column makes every run start and end inside its column.
    edges = np.diff(np.pad(crop.T, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    start_column, start_row = np.nonzero(edges == 1)
    end_column, end_row = np.nonzero(edges == -1)
    starts = (start_column + x) * height + start_row + y
    ends = (end_column + x) * height + end_row + y
    # A run that reaches the photo's bottom continues at the top of the next column: COCO counts the two as one.
    joined = starts[1:] == ends[:-1]
    starts = starts[np.concatenate(([True], ~joined))] if starts.size else starts
    ends = ends[np.concatenate((~joined, [True]))] if ends.size else ends
    bounds = np.concatenate(([0], np.column_stack((starts, ends)).ravel(), [height * width]))
    counts = np.diff(bounds)
    if counts[-1] == 0:
        counts = counts[:-1]
    encoded = coco_mask.frPyObjects({"size": [height, width], "counts": counts.tolist()}, height, width)
    return {"size": [height, width], "counts": encoded["counts"].decode("ascii")}
