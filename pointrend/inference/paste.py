"""Drawing a region's mask at the image's resolution, inside its own box only.

Shapes: S side of a mask in cells, H, W height and width of the image in pixels, h, w of the box's window.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

MASK_THRESHOLD = 0.5


def paste_mask(logits: Tensor, box: Tensor, height: int, width: int) -> tuple[int, int, NDArray[np.bool_]]:
    """Stretch a mask over its box: where its probabilities reach 0.5; see :func:`paste_probabilities`.

    Returns:
        the window's left and top, 0 <= left <= W and 0 <= top <= H, and its mask (h, w), empty where the box is.
    """
    left, top, probabilities = paste_probabilities(logits, box, height, width)
    return left, top, probabilities >= MASK_THRESHOLD


def paste_probabilities(logits: Tensor, box: Tensor, height: int, width: int) -> tuple[int, int, NDArray[np.float32]]:
    """Stretch a mask's probabilities over its box.

    The mask's probabilities, zero beyond its edge, are read bilinearly at pixel centres. A pixel whose centre lies
    outside the box gets less than half of its nearest cell and so is never on: the window loses nothing.

    Args:
        logits: (S, S).
        box: (4,) as (x0, y0, x1, y1) in image pixels; it may reach beyond the image.
        height, width: H and W.

    Returns:
        the window's left and top, 0 <= left <= W and 0 <= top <= H, and (h, w) in [0, 1], empty where the box is.
    """
    x0, y0, x1, y1 = box.tolist()
    left, right = _window(x0, x1, width)
    top, bottom = _window(y0, y1, height)
    if left >= right or top >= bottom:
        return left, top, np.zeros((0, 0), dtype=np.float32)
    probabilities = F.pad(logits.detach().float().cpu().sigmoid(), (1, 1, 1, 1))
    rows, row_fractions = _cells(top, bottom, y0, y1, logits.shape[0])
    columns, column_fractions = _cells(left, right, x0, x1, logits.shape[1])
    stretched = torch.lerp(probabilities[rows], probabilities[rows + 1], row_fractions[:, None])
    stretched = torch.lerp(stretched[:, columns], stretched[:, columns + 1], column_fractions)
    values: NDArray[np.float32] = stretched.numpy()
    return left, top, values


def _window(start: float, end: float, limit: int) -> tuple[int, int]:
    """First and past-last pixel that an interval touches inside the image; equal where there is none."""
    if not end > start:
        return 0, 0
    first = min(max(math.floor(start), 0), limit)
    return first, max(first, min(math.ceil(end), limit))


def _cells(first: int, last: int, start: float, end: float, side: int) -> tuple[Tensor, Tensor]:
    """For each pixel centre of a window: the padded mask's cell before it, and how far it lies past that cell."""
    centres = torch.arange(first, last, dtype=torch.float32) + 0.5
    places = ((centres - start) / (end - start) * side + 0.5).clamp(0, side + 1)
    cells = places.floor().clamp(max=side)
    return cells.long(), places - cells
