"""How good a mask is, by what its own probabilities say: no network is run for it.

Shapes: S side of a mask in cells.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pointrend.modeling.side_by_side import side_by_side

UNCALIBRATED = (1.0, 0.0)
EDGE_SHARE = 0.02  # of the image's diagonal: the band around an outline that Boundary IoU looks at
_LEAST = 1e-6  # keeps logits of probabilities finite
_BELOW_HALF = 0.49999997  # the largest 32-bit number below
_AT_ONCE = 8  # masks: few enough for a CPU's cache
_FINEST = 28  # cells a side of which a band is read; a finer grid tells no more, and takes longer


@dataclass(frozen=True, slots=True)
class MaskQuality:
    """What a mask says of itself.

    Attributes:
        mask_score: the IoU with the object's true mask that is to be expected, in [0, 1]; 0 of an empty mask.
        edge_uncertainty: how undecided the cells along the outline are, from 0 (p is 0 or 1) to 1 (p is 0.5); 1 of an
            empty mask.
    """

    mask_score: float
    edge_uncertainty: float


def mask_quality(
    logits: Tensor, box: Tensor, image_size: tuple[int, int], calibration: tuple[float, float] = UNCALIBRATED
) -> MaskQuality:
    """Estimate a mask's quality.

    >>> mask_quality(torch.full((7, 7), 50.0), torch.tensor([0, 0, 70, 70]), (480, 640))
    MaskQuality(mask_score=1.0, edge_uncertainty=0.0)

    Args:
        logits: (S, S), of one region.
        box: (4,) as (x0, y0, x1, y1) in the image's pixels.
        image_size: the image's (height, width) in pixels.
        calibration: slope and offset of the logit of the expected IoU, as a model's configuration has them in
            MODEL.ROI_MASK_HEAD.SCORE_CALIBRATION.
    """
    return mask_qualities([logits], box[None], image_size, calibration)[0]


def mask_qualities(
    logits: Sequence[Tensor],
    boxes: Tensor,
    image_size: tuple[int, int],
    calibration: tuple[float, float] = UNCALIBRATED,
) -> list[MaskQuality]:
    """Estimate many masks' qualities, those of one size together.

    Args:
        logits: R of (S, S), each with its own S.
        boxes: (R, 4); the others as in :func:`mask_quality`.
    """
    qualities = [MaskQuality(0.0, 1.0)] * len(logits)
    sides = [len(each) for each in logits]
    chunks: list[list[int]] = []
    for side in sorted(set(sides)):
        alike = [index for index, own in enumerate(sides) if own == side]
        chunks += [alike[start : start + _AT_ONCE] for start in range(0, len(alike), _AT_ONCE)]

    def judge(chunk: list[int]) -> None:
        found = _alike(torch.stack([logits[index] for index in chunk]), boxes[chunk], image_size)
        for index, (area, expected, uncertainty) in zip(chunk, found, strict=True):
            if area:
                qualities[index] = MaskQuality(calibrated(expected, calibration), uncertainty)

    side_by_side(judge, chunks)
    return qualities


def _alike(logits: Tensor, boxes: Tensor, image_size: tuple[int, int]) -> list[tuple[float, float, float]]:
    """Area, expected IoU, and uncertainty of the edge, of masks (R, S, S) of one size.

    The expected IoU is the expected intersection with the true mask over the expected union: the intersection is the
    sum of the probabilities inside of the mask, and the union its area and what lies outside.
    """
    probabilities = logits.detach().float().sigmoid()
    inside = logits >= 0
    areas = torch.tensor([np.count_nonzero(each) for each in inside.cpu().numpy()])
    uncertainties = _edge_uncertainties(probabilities, inside, boxes, image_size)
    sums = probabilities.flatten(1).sum(dim=1)
    intersections = F.threshold(probabilities, _BELOW_HALF, 0, inplace=True).flatten(1).sum(dim=1)
    expected = intersections / (areas + sums - intersections)
    return list(zip(areas.tolist(), expected.tolist(), uncertainties, strict=True))


def _edge_uncertainties(
    probabilities: Tensor, inside: Tensor, boxes: Tensor, image_size: tuple[int, int]
) -> list[float]:
    """The mean of 1 - |2p - 1| over the cells within :data:`EDGE_SHARE` of the outline; the box's border is one too."""
    step = -(-inside.shape[1] // _FINEST)
    probabilities, inside = probabilities[:, ::step, ::step], inside[:, ::step, ::step]
    side = inside.shape[1]
    distance = max(1, round(EDGE_SHARE * math.hypot(*image_size)))
    # Half the sides of the window around a cell that the outline must not cross.
    reaches = (distance * side / (boxes[:, 2:] - boxes[:, :2]).double().clamp(min=1)).round().long().clamp(1, side)
    across, down = reaches.unbind(dim=1)
    counts = _window_sums(_window_sums(inside.float(), across).transpose(1, 2), down).transpose(1, 2)
    whole = ((2 * across + 1) * (2 * down + 1))[:, None, None]
    band = torch.where(inside, counts < whole, counts > 0)
    cells = band.flatten(1).sum(dim=1)
    doubt = ((1 - (2 * probabilities - 1).abs()) * band).flatten(1).sum(dim=1)
    return torch.where(cells > 0, doubt / cells, 1.0).tolist()  # a few cells may fall between the steps


def _window_sums(values: Tensor, reaches: Tensor) -> Tensor:
    """Sums (R, S, S) over each cell and ``reaches`` (R,) cells before and after it in its row.

    Beyond the edge there is nothing to count. Counts below 2^24 are exact.
    """
    side = values.shape[2]
    sums = F.pad(values, (1, 0)).cumsum(dim=2)
    places = torch.arange(side)
    first, last = ((places - reaches[:, None]).clamp(min=0), (places + reaches[:, None] + 1).clamp(max=side))
    first, last = (each[:, None].expand(-1, values.shape[1], -1) for each in (first, last))
    return sums.gather(2, last) - sums.gather(2, first)


def calibrated(expected: float, calibration: tuple[float, float]) -> float:
    """An expected IoU once slope and offset are applied to its logit; 0 stays 0, and 1 stays 1."""
    if calibration == UNCALIBRATED or not 0 < expected < 1:
        return expected
    slope, offset = calibration
    clipped = min(max(expected, _LEAST), 1 - _LEAST)
    return 1 / (1 + math.exp(-(slope * math.log(clipped / (1 - clipped)) + offset)))
