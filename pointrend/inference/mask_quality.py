"""How good a mask is, by what its own probabilities say: no network is run for it.

Shapes: S side of a mask in cells.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

UNCALIBRATED = (1.0, 0.0)
EDGE_SHARE = 0.02  # of the image's diagonal: the band around an outline that Boundary IoU looks at
_LEAST = 1e-6  # keeps logits of probabilities finite
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
    probabilities = logits.detach().float().sigmoid()
    inside = logits >= 0
    area = int(torch.count_nonzero(inside))
    if area == 0:
        return MaskQuality(0.0, 1.0)
    expected = _expected_iou(probabilities, inside, area)
    return MaskQuality(calibrated(expected, calibration), _edge_uncertainty(probabilities, inside, box, image_size))


def _expected_iou(probabilities: Tensor, inside: Tensor, area: int) -> float:
    """Expected intersection with the true mask over expected union.

    The intersection is the sum of the probabilities inside of the mask; the union is its area and what lies outside.
    """
    intersection = float((probabilities * inside).sum())
    return intersection / (area + float(probabilities.sum()) - intersection)


def _edge_uncertainty(probabilities: Tensor, inside: Tensor, box: Tensor, image_size: tuple[int, int]) -> float:
    """The mean of 1 - |2p - 1| over the cells within :data:`EDGE_SHARE` of the outline; the box's border is one too."""
    step = -(-inside.shape[0] // _FINEST)
    probabilities, inside = probabilities[::step, ::step], inside[::step, ::step]
    side = inside.shape[0]
    distance = max(1, round(EDGE_SHARE * math.hypot(*image_size)))
    width, height = (box[2:] - box[:2]).tolist()
    # Half the sides of the window around a cell that the outline must not cross.
    across, down = (min(side, max(1, round(distance * side / max(length, 1)))) for length in (width, height))
    counts = _window_sums(_window_sums(inside.float(), across).T, down).T
    whole = (2 * across + 1) * (2 * down + 1)
    band = torch.where(inside, counts < whole, counts > 0)
    doubt = 1 - (2 * probabilities - 1).abs()
    cells = int(torch.count_nonzero(band))
    return float((doubt * band).sum()) / cells if cells else 1.0  # a few cells may fall between the steps


def _window_sums(values: Tensor, reach: int) -> Tensor:
    """Sums (S, S) over each cell and ``reach`` cells before and after it in its row; counts below 2^24 are exact."""
    sums = F.pad(values, (reach + 1, reach)).cumsum(dim=1)
    return sums[:, 2 * reach + 1 :] - sums[:, : -2 * reach - 1]


def calibrated(expected: float, calibration: tuple[float, float]) -> float:
    """An expected IoU once slope and offset are applied to its logit; 0 stays 0, and 1 stays 1."""
    if calibration == UNCALIBRATED or not 0 < expected < 1:
        return expected
    slope, offset = calibration
    clipped = min(max(expected, _LEAST), 1 - _LEAST)
    return 1 / (1 + math.exp(-(slope * math.log(clipped / (1 - clipped)) + offset)))
