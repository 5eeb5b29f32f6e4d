"""Boundary IoU (Cheng, Girshick, Dollár, Berg, Kirillov: arXiv:2103.16562): how well outlines fit.

The overlap of two masks hardly feels their outlines where objects are large. Boundary IoU compares only the pixels
of each mask that lie within d of its outline; d is 2 % of the image's diagonal. Boundary AP takes the smaller of
mask IoU and Boundary IoU, since a thin boundary alone would forgive a wrong inside (section 5.1 there).

Shapes: H, W height and width of the image, h, w of a mask's window, all in pixels.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from pycocotools.cocoeval import COCOeval

from pointrend.masks.rle import decode_crop, encode_crop

DILATION_RATIO = 0.02


class BoundaryEval(COCOeval):  # type: ignore[misc]  # pycocotools carries no types
    """COCOeval on masks, with an IoU that is the smaller one of mask IoU and Boundary IoU.

    With crowd regions a detection is compared by its mask only: it lies inside of them, and their outline means
    nothing. What it finds there is left out of the figures in any case.
    """

    def __init__(self, truth: Any, found: Any) -> None:
        super().__init__(truth, found, iouType="segm")

    def computeIoU(self, imgId: int, catId: int) -> Any:  # noqa: N802, N803  # pycocotools' names
        """IoU of each detection with each object of an image and category: (D, G), detections by descending score."""
        ious = super().computeIoU(imgId, catId)
        truths, found = self._gts[imgId, catId], self._dts[imgId, catId]
        if not truths or not found:
            return ious
        order = np.argsort([-item["score"] for item in found], kind="mergesort")[: self.params.maxDets[-1]]
        crowd = np.array([bool(item["iscrowd"]) for item in truths])
        edges = coco_mask.iou(
            [_boundary_of(found[index]) for index in order], [_boundary_of(item) for item in truths], [0] * len(truths)
        )
        return np.where(crowd, ious, np.minimum(ious, edges))


def boundary(segmentation: dict[str, Any]) -> dict[str, Any]:
    """The pixels of a mask within d of its outline; the image's border counts as outline.

    Only the mask's own window is looked at. d = 2 % of the diagonal, rounded, at least 1; distance is the larger one
    of the horizontal and the vertical, as in the authors' code, which erodes d times by a 3x3 square.

    Args:
        segmentation: ``{"size": [H, W], "counts": str}``.

    Returns:
        the boundary in the same form.
    """
    height, width = segmentation["size"]
    x, y, mask = decode_crop(segmentation)
    distance = max(1, round(DILATION_RATIO * math.hypot(height, width)))
    return encode_crop(mask & ~_erode(mask, distance), x, y, height, width)


def _erode(mask: NDArray[np.bool_], distance: int) -> NDArray[np.bool_]:
    """Keep the pixels of (h, w) whose square of side 2 * distance + 1 lies wholly in the mask.

    The square is a row after a column, and a row is full where its running sum grows by its length.
    """
    return _erode_rows(_erode_rows(mask, distance).T, distance).T


def _erode_rows(mask: NDArray[np.bool_], distance: int) -> NDArray[np.bool_]:
    length = 2 * distance + 1
    sums = np.pad(mask, ((0, 0), (distance + 1, distance))).cumsum(axis=1, dtype=np.int32)
    kept: NDArray[np.bool_] = sums[:, length:] - sums[:, :-length] == length
    return kept


def _boundary_of(annotation: dict[str, Any]) -> dict[str, Any]:
    """The boundary of an annotation's mask, kept beside it: each is compared with many, and truth with each head."""
    if "boundary" not in annotation:
        annotation["boundary"] = boundary(annotation["segmentation"])
    result: dict[str, Any] = annotation["boundary"]
    return result
