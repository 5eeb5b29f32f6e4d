"""How opaque a cut-out is at each pixel: 0 or 255 (hard), or with the outline anti-aliased (soft). Needs no torch.

Shapes: H, W of the image, h, w of a window, in pixels.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pointrend.masks.decode import Segmentation, window

Alpha = Literal["soft", "hard"]
ALPHAS: tuple[Alpha, ...] = ("soft", "hard")
SOFT: Alpha = "soft"
OPAQUE = 255
REACH = 1
"""Pixels that a soft edge reaches beyond the mask."""
_HALF = 128  # where the mask begins

AlphaWindow = tuple[int, int, NDArray[np.uint8]]


def alpha_window(segmentation: Segmentation, size: tuple[int, int], alpha: Alpha = SOFT) -> AlphaWindow:
    """The part of the image that an object covers: its left, its top and its (h, w) alpha there, 0 to 255.

    Args:
        segmentation: run lengths or polygons.
        size: the image's (H, W).
        alpha: soft or hard edges.

    Raises:
        ValueError: as in :func:`pointrend.masks.decode.window`.
    """
    x, y, mask = window(segmentation, size)
    if alpha == "hard" or not mask.size:
        return x, y, mask.astype(np.uint8) * np.uint8(OPAQUE)
    # One pixel more at each side. Beyond the image the object goes on as at its edge.
    height, width = mask.shape
    top, left = min(y, REACH), min(x, REACH)
    bottom, right = min(size[0] - y - height, REACH), min(size[1] - x - width, REACH)
    return x - left, y - top, soft_alpha(np.pad(mask, ((top, bottom), (left, right))))


def soft_alpha(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Anti-alias a mask's outline, over a pixel on either side of it.

    The mask is weighted with the binomial kernel (1, 2, 1) / 4 in both directions; beyond its edge it goes on as at its
    edge. What was inside stays at 128 or more, what was outside below, so that a threshold gives the mask again.

    Args:
        mask: (h, w).

    Returns:
        (h, w): 255 where all pixels around are inside, 0 where none is.

    >>> soft_alpha(np.array([[False, False, True, True]])).tolist()
    [[0, 63, 191, 255]]
    """
    inside = mask.view(np.uint8)
    padded = np.pad(inside, 1, mode="edge")
    down = padded[:-2] + padded[2:]
    down += padded[1:-1]
    down += padded[1:-1]
    weight = down[:, :-2] + down[:, 2:]
    weight += down[:, 1:-1]
    weight += down[:, 1:-1]  # 0 to 16
    return _LEVELS[inside, weight]


def _levels() -> NDArray[np.uint8]:
    """(2, 17): alpha by whether the pixel is inside, and by the weight of the inside around it."""
    levels = (np.arange(17) * OPAQUE // 16).astype(np.uint8)
    return np.stack((np.minimum(levels, _HALF - 1), np.maximum(levels, _HALF)))


_LEVELS = _levels()
