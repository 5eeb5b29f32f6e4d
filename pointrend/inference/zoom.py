"""A second look at large objects of images that the network sees much smaller than they are.

The network runs again on each object's own crop, whole and in two windows along its longer side
(:mod:`pointrend.inference.windows`). The mask is refined once more: its coarse mask is the mean of what the whole image
and the whole crop give, and its points read the windows. The mean of both looks' logits is the result: the first knows
the surroundings, the second the details (benchmarks/zoom.py measures it). Boxes, classes and scores stay.

Shapes: R detections, S side of a mask in cells, H, W of the image in pixels. Boxes are (x0, y0, x1, y1) in pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pointrend.config.schema import InstanceConfig
from pointrend.inference.detections import FINE_CELL, RawDetections, to_network
from pointrend.inference.windows import fine_map, look_closer
from pointrend.modeling.instance_network import InstanceNetwork
from pointrend.modeling.preprocess import SIZE_DIVISOR, network_size, resize, to_input
from pointrend.modeling.roi_heads.point_mask_head import PointRendMaskHead

MARGIN = 0.1  # of a box's width and height, added on each side
LONGEST = 3.0  # a crop's longer side, of its shorter one: networks know no narrower images
MUCH_SMALLER = 0.7  # network pixels a pixel of the image; with more of them a closer look shows hardly anything new
LEAST_GAIN = 1.2  # network pixels a pixel of the image, of those in the first look
MOST_RUNS = 20  # of the network, an image
EXTRA_DOUBLINGS = 2  # of the finest grid of a first look: 448 and 896 cells a side for the usual 224


@dataclass(frozen=True, slots=True)
class Look:
    """A second look at one object.

    Attributes:
        index: of the detection.
        x0, y0, x1, y1: the crop in whole pixels; ``x1`` and ``y1`` are past its last column and row.
        rows, columns: of windows: one, or two along the longer side.
        whole: the crop as a whole is seen larger than in the first look too, so that its coarse mask tells more.
        doublings: of the mask head's first grid.
    """

    index: int
    x0: int
    y0: int
    x1: int
    y1: int
    rows: int
    columns: int
    whole: bool
    doublings: int

    @property
    def runs(self) -> int:
        """How often the network runs."""
        count = self.rows * self.columns
        return count + (self.whole and count > 1)


def plan(boxes: Tensor, size: tuple[int, int], config: InstanceConfig, head: PointRendMaskHead) -> list[Look]:
    """Which objects are looked at again: the largest of those for which it can matter, in :data:`MOST_RUNS` runs.

    It can where the network sees the image :data:`MUCH_SMALLER` than it is, and the object at least
    :data:`LEAST_GAIN` times larger in the second look; and where a cell of the first look's finest grid is larger than
    :data:`FINE_CELL` pixels, so that the grid tells that there was a second.

    Args:
        boxes: (R, 4) in the image's pixels.
        size: the image's (H, W).
        config: of the network.
        head: whose masks they are.

    Returns:
        the largest object first. Its grid is the first whose cells are at most :data:`FINE_CELL` pixels, or the finest.
    """
    looks: list[Look] = []
    if _scale(network_size(*size, config), size) >= MUCH_SMALLER:
        return looks
    longest = (boxes[:, 2:] - boxes[:, :2]).amax(dim=1)
    runs = 0
    for index in longest.argsort(descending=True, stable=True).tolist():
        needed = math.ceil(math.log2(max(float(longest[index]), 1.0) / (FINE_CELL * head.first_side)))
        if needed <= head.doublings:
            break
        doublings = min(needed, head.doublings + EXTRA_DOUBLINGS)
        look = _look(index, crop_around(boxes[index].tolist(), size), size, config, doublings)
        if look is not None:
            runs += look.runs
            if runs > MOST_RUNS:
                break
            looks.append(look)
    return looks


def _look(
    index: int, crop: tuple[int, int, int, int], size: tuple[int, int], config: InstanceConfig, doublings: int
) -> Look | None:
    """How to look at a crop; None where nothing would be seen larger."""
    x0, y0, x1, y1 = crop
    part = y1 - y0, x1 - x0
    sides = network_size(*part, config)
    longer = int(part[1] > part[0])
    split = 2 * SIZE_DIVISOR <= sides[longer] < part[longer]  # else one window shows every pixel
    rows, columns = 1 + (split and longer == 0), 1 + (split and longer == 1)
    gain = _scale(sides, part) / _scale(network_size(*size, config), size)
    if rows * columns == 1 and gain < LEAST_GAIN:
        return None
    return Look(index, x0, y0, x1, y1, rows, columns, gain >= LEAST_GAIN, doublings)


def _scale(sides: tuple[int, int], size: tuple[int, int]) -> float:
    """Pixels of the network's input a pixel of the image, in the mean of both directions."""
    return math.sqrt(sides[0] * sides[1] / (size[0] * size[1]))


def crop_around(box: Sequence[float], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The crop (x0, y0, x1, y1), in whole pixels, that shows a box with a margin.

    A side that is short beside the other (:data:`LONGEST`) grows; what would reach beyond the image is moved inside.

    >>> crop_around((100, 100, 200, 300), (480, 640))
    (90, 80, 210, 320)
    """
    height, width = size
    sides = [(1 + 2 * MARGIN) * (box[end] - box[end - 2]) for end in (2, 3)]
    least = max(sides) / LONGEST
    x0, x1 = _inside((box[0] + box[2]) / 2, max(sides[0], least), width)
    y0, y1 = _inside((box[1] + box[3]) / 2, max(sides[1], least), height)
    return x0, y0, x1, y1


def _inside(middle: float, length: float, limit: int) -> tuple[int, int]:
    """An interval around a middle, moved into 0 to ``limit`` and rounded outwards."""
    if length >= limit:
        return 0, limit
    start = min(max(middle - length / 2, 0.0), limit - length)
    return math.floor(start), min(math.ceil(start + length), limit)


def look_again(
    model: InstanceNetwork,
    image: NDArray[np.uint8],
    features: dict[str, Tensor],
    boxes: Tensor,
    found: RawDetections,
) -> RawDetections:
    """Refine the masks of large objects further, each on a second look at its crop.

    Args:
        model: a network with point-refined masks; it runs on one window at a time.
        image: (H, W, 3) uint8 RGB.
        features: the first look's feature maps, each level (1, C, h, w).
        boxes: (R, 4) in the first look's network pixels, on the features' device.
        found: the first look's result, with masks.

    Returns:
        the same boxes, classes and scores in the same order; the logits of the objects that :func:`plan` names are new.

    Raises:
        ValueError: the network does not refine its masks at points.
    """
    head, _ = model.mask_heads()
    if head is None or found.logits is None:
        raise ValueError("Only masks that are refined at points can be refined further.")
    logits = list(found.logits)
    first = fine_map(features)
    for look in plan(found.boxes, (image.shape[0], image.shape[1]), model.config, head):
        box, kind = boxes[look.index][None], found.classes[look.index][None].to(boxes.device)
        coarse = head.coarse_logits(head.coarse_map(features, first), box)
        before = head.refine(first, box, kind, coarse, look.doublings)
        after = _closer(model, head, image, look, found.boxes[look.index], kind, coarse)
        logits[look.index] = ((before + after) / 2)[0].cpu()
    return replace(found, logits=logits)


def _closer(
    model: InstanceNetwork,
    head: PointRendMaskHead,
    image: NDArray[np.uint8],
    look: Look,
    box: Tensor,
    kind: Tensor,
    coarse: Tensor,
) -> Tensor:
    """Mask logits (1, S, S) of a second look; ``box`` (4,) is in the image's pixels, ``coarse`` the first look's."""
    crop = np.ascontiguousarray(image[look.y0 : look.y1, look.x0 : look.x1])
    in_crop = box[None] - torch.tensor([look.x0, look.y0, look.x0, look.y0])
    if look.whole:
        images, size = to_input(resize(crop, model.config), model.config)
        seen = model.feature_maps(images.to(kind.device))
        fine, region = fine_map(seen), to_network(in_crop, size, crop.shape[:2]).to(kind.device)
        coarse = (coarse + head.coarse_logits(head.coarse_map(seen, fine), region)) / 2
    if look.rows * look.columns > 1:
        fine, size = look_closer(model, crop, look.rows, look.columns, kind.device)
        region = to_network(in_crop, size, crop.shape[:2]).to(kind.device)
    return head.refine(fine, region, kind, coarse, look.doublings)
