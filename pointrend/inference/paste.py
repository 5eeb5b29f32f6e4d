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
_CORNERS = 4  # cells between whose centres a pixel lies


def paste_mask(logits: Tensor, box: Tensor, height: int, width: int) -> tuple[int, int, NDArray[np.bool_]]:
    """Stretch a mask over its box: where its probabilities reach 0.5; see :func:`paste_probabilities`.

    Probabilities are computed near the outline only: between four cells that are all on, or all off, so is every pixel.

    Returns:
        the window's left and top, 0 <= left <= W and 0 <= top <= H, and its mask (h, w), empty where the box is; it
        lies in memory column by column, as run lengths are counted.
    """
    x0, y0, x1, y1 = box.tolist()
    left, right = _window(x0, x1, width)
    top, bottom = _window(y0, y1, height)
    if left >= right or top >= bottom:
        return left, top, np.zeros((0, 0), dtype=np.bool_)
    cells: NDArray[np.float32] = logits.detach().float().cpu().numpy()
    rows, row_fractions = _cells(top, bottom, y0, y1, len(cells))
    columns, column_fractions = _cells(left, right, x0, x1, len(cells))
    counts = np.ascontiguousarray(_cells_on(cells)[rows].T[columns])
    crop = counts == _CORNERS
    undecided = np.flatnonzero(counts - 1 < _CORNERS - 1)  # 0 - 1 is 255
    column, row = np.divmod(undecided, len(rows))
    corners = _corners(cells, rows[row], columns[column])
    crop.ravel()[undecided] = _between(corners, row_fractions[row], column_fractions[column]) >= MASK_THRESHOLD
    return left, top, crop.T


def _cells_on(cells: NDArray[np.float32]) -> NDArray[np.uint8]:
    """How many of four neighbouring cells are on, 0 to 4, by the first of them in the padded mask: (S + 1, S + 2).

    The last of each row has no neighbour, and means nothing.
    """
    side = len(cells) + 2
    padded = np.zeros((side, side), dtype=np.bool_)
    np.greater_equal(cells, 0, out=padded[1:-1, 1:-1])
    on = padded.view(np.uint8).ravel()
    pairs = on[:-side] + on[side:]
    counts = np.zeros(len(pairs), dtype=np.uint8)
    np.add(pairs[:-1], pairs[1:], out=counts[:-1])
    return counts.reshape(side - 1, side)


def _corners(cells: NDArray[np.float32], rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.float32]:
    """The logits (2, 2, M) around places whose first cell is at rows and columns (M,) of the padded mask.

    By row, then by column. What lies beyond the mask's edge is never on.
    """
    side = len(cells)
    down, across = (np.stack([first - 1, first]) for first in (rows, columns))
    corners: NDArray[np.float32] = cells.ravel()[down.clip(0, side - 1)[:, None] * side + across.clip(0, side - 1)]
    corners[((down < 0) | (down == side))[:, None] | (across < 0) | (across == side)] = -np.inf
    return corners


def _between(
    corners: NDArray[np.float32], down: NDArray[np.float32], across: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Probabilities (M,) at fractions of the way between cells, of whose logits (2, 2, M) are given."""
    probabilities = torch.from_numpy(corners).sigmoid_()
    left, right = torch.lerp(probabilities[0], probabilities[1], torch.from_numpy(down))
    values: NDArray[np.float32] = torch.lerp(left, right, torch.from_numpy(across)).numpy()
    return values


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
    stretched = torch.lerp(probabilities[rows], probabilities[rows + 1], torch.from_numpy(row_fractions)[:, None])
    stretched = torch.lerp(stretched[:, columns], stretched[:, columns + 1], torch.from_numpy(column_fractions))
    values: NDArray[np.float32] = stretched.numpy()
    return left, top, values


def _window(start: float, end: float, limit: int) -> tuple[int, int]:
    """First and past-last pixel that an interval touches inside the image; equal where there is none."""
    if not end > start:
        return 0, 0
    first = min(max(math.floor(start), 0), limit)
    return first, max(first, min(math.ceil(end), limit))


def _cells(first: int, last: int, start: float, end: float, side: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """For each pixel centre of a window: the padded mask's cell before it, and how far it lies past that cell."""
    centres = np.arange(first, last, dtype=np.float32) + np.float32(0.5)
    with np.errstate(over="ignore"):  # what lies far beyond a tiny box is clipped
        places = np.clip((centres - start) / (end - start) * side + 0.5, 0, side + 1, dtype=np.float32)
    cells = np.minimum(np.floor(places), side)
    return cells.astype(np.int64), places - cells
