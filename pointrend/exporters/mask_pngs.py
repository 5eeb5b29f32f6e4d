"""One black and white picture an instance."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image

from pointrend.exporters.instances import require_instances
from pointrend.structures.labels import file_name, instance_labels
from pointrend.structures.prediction import Prediction


def to_mask_pngs(prediction: Prediction) -> Iterator[tuple[str, bytes]]:
    """Every instance's whole mask, overlaps and all, best first.

    Yields:
        the name, such as ``person-2.png``, and a PNG of the image's size: 8-bit grey, 255 inside and 0 outside.

    Raises:
        ValueError: the prediction is semantic, or has no masks.
    """
    size = prediction.height, prediction.width
    for instance, label in zip(require_instances(prediction, "A mask"), instance_labels(prediction), strict=True):
        mask = instance.mask(size).astype(np.uint8) * np.uint8(255)
        file = io.BytesIO()
        Image.fromarray(mask).save(file, "PNG")
        yield f"{file_name(label)}.png", file.getvalue()
