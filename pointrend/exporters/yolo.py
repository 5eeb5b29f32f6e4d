"""YOLO's segmentation labels (https://docs.ultralytics.com/datasets/segment/): one text file an image."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pointrend.exporters.instances import outlines, require_instances
from pointrend.masks.polygons import join
from pointrend.structures.prediction import Prediction

DIGITS = 6  # a thousandth of a pixel in an image of 1,000


def to_yolo(prediction: Prediction, category_ids: Sequence[int]) -> str:
    """A line an instance, best first: ``class x0 y0 x1 y1 ...``, in shares of the image's width and height.

    The format has one polygon an instance: parts and holes are joined to it by slits without width. An instance with
    an empty mask is left out; one that was predicted without masks is a box, ``class x y width height`` with (x, y)
    its centre.

    Args:
        prediction: its task ``instances`` or ``detection``.
        category_ids: those of all categories; a class is a place in them.

    Raises:
        ValueError: the prediction is semantic, or holds an object without a category, or of one that is not in
            ``category_ids``.
    """
    width, height = prediction.width, prediction.height
    lines = []
    for instance in require_instances(prediction, "A YOLO label"):
        if instance.category_id is None:
            raise ValueError("A YOLO label needs a category for each object: give each box one.")
        if instance.category_id not in category_ids:
            raise ValueError(f"{instance.category} has the id {instance.category_id}, which is not in category_ids.")
        index = category_ids.index(instance.category_id)
        if instance.segmentation is None:
            x, y, w, h = instance.bbox
            shares = np.array([(x + w / 2) / width, (y + h / 2) / height, w / width, h / height])
        else:
            rings = [np.reshape(part, (-1, 2)) for part in outlines(instance, (height, width))]
            if not rings:
                continue
            shares = (join(rings[0], rings[1:]) / (width, height)).ravel()
        lines.append(" ".join([str(index), *(f"{share:.{DIGITS}f}" for share in shares.clip(0, 1).tolist())]))
    return "".join(f"{line}\n" for line in lines)


def yolo_data(categories: Sequence[Mapping[str, Any]], images: str = "images") -> str:
    """The data set's ``data.yaml``.

    Args:
        categories: ``{"id": ..., "name": ...}`` of every category, in the order of the classes.
        images: the folder of the images beside the file; the labels' folder is its name with ``labels`` for ``images``.
    """
    # JSON's strings are YAML's double-quoted ones, whatever characters a name has.
    names = "".join(f"  {index}: {json.dumps(category['name'])}\n" for index, category in enumerate(categories))
    return f"path: .\ntrain: {images}\nval: {images}\nnames:\n{names}"
