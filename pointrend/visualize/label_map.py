"""A prediction as one grey or palette picture in which a pixel's value says what it belongs to.

Shapes: H, W of the image in pixels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pointrend.errors import InvalidOption
from pointrend.images.encode import encode_png
from pointrend.masks.decode import Segmentation, window
from pointrend.structures.labels import instance_labels
from pointrend.structures.prediction import Prediction
from pointrend.visualize.palettes import category_colour


def label_map(prediction: Prediction) -> NDArray[np.uint16] | NDArray[np.uint8]:
    """Number the pixels; 0 belongs to nothing.

    Args:
        prediction: with masks, of the task ``instances`` or ``semantic``.

    Returns:
        for ``instances`` (H, W) uint16: 1 is the best instance, 2 the next, and the best is on top; for ``semantic``
        (H, W) uint8: the category's id.

    Raises:
        InvalidOption: a category's id is not in 1..255, which is what eight bits tell from nothing.
        ValueError: the prediction has no masks.
    """
    size = prediction.height, prediction.width
    if prediction.task == "semantic":
        by_category = np.zeros(size, dtype=np.uint8)
        for segment in prediction.segments:
            if not 1 <= segment.category_id <= 255:
                raise InvalidOption(
                    f"The category {segment.category!r} has the id {segment.category_id}; a semantic label_map holds "
                    "ids from 1 to 255. Ask for format=json.",
                    field="format",
                    limit=[1, 255],
                    value=segment.category_id,
                    code="unsupported_combination",
                )
            _fill(by_category, segment.segmentation, segment.category_id)
        return by_category
    numbered = np.zeros(size, dtype=np.uint16)
    for index in reversed(range(len(prediction.instances))):
        _fill(numbered, prediction.instances[index].segmentation, index + 1)
    return numbered


def legend(prediction: Prediction) -> dict[int, str]:
    """What the values of :func:`label_map` stand for: ``{1: "person 1"}``, or, semantic, ``{1: "person"}``."""
    if prediction.task == "semantic":
        return {segment.category_id: segment.category for segment in prediction.segments}
    return dict(enumerate(instance_labels(prediction), start=1))


def encode_label_map(prediction: Prediction) -> bytes:
    """:func:`label_map` as a PNG file: 16-bit grey for instances; 8-bit with a palette where it is semantic."""
    values = label_map(prediction)
    picture = Image.fromarray(values)
    if prediction.task == "semantic":
        picture = picture.convert("P")
        names = legend(prediction)
        colours = (category_colour(index, names.get(index, "")) for index in range(1, 256))
        picture.putpalette([0, 0, 0, *(level for each in colours for level in each)])
    return encode_png(picture)


def _fill(values: NDArray[np.uint16] | NDArray[np.uint8], segmentation: Segmentation | None, value: int) -> None:
    if segmentation is None:
        raise ValueError("Without masks there is no label map: the prediction was made with masks=none.")
    x, y, mask = window(segmentation, (values.shape[0], values.shape[1]))
    values[y : y + mask.shape[0], x : x + mask.shape[1]][mask] = value
