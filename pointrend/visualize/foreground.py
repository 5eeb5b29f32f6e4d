"""Colours of objects without their old background, which shines through where an edge is soft. Needs no torch.

Each colour near an outline is a mixture, I = alpha F + (1 - alpha) B. F is estimated as in Forte, "Approximate Fast
Foreground Colour Estimation" (ICIP 2021): the mean foreground and background nearby, weighted by alpha, are corrected
so that they explain the pixel. Only pixels of partial alpha are computed, in tiles, so that memory does not grow with
the image.

Shapes: h, w of a window in pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointrend.masks.alpha import OPAQUE

RADIUS = 3
"""Pixels around one whose colours count as nearby."""
_TILE = 256

_Floats = NDArray[np.floating[Any]]
_Places = tuple[NDArray[np.intp], NDArray[np.intp]]  # rows and columns


def foreground(image: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The image with the foreground's own colours wherever its alpha is partial.

    Args:
        image: (h, w, 3) uint8 RGB.
        alpha: (h, w) uint8.

    Returns:
        (h, w, 3): the image's colours where alpha is 255; black where it is 0, so that nothing of the background is
        left.
    """
    colours = np.zeros_like(image)
    height, width = alpha.shape
    for top in range(0, height, _TILE):
        for left in range(0, width, _TILE):
            inner = slice(top, min(height, top + _TILE)), slice(left, min(width, left + _TILE))
            np.copyto(colours[inner], image[inner], where=alpha[inner][..., None] == OPAQUE)
            partial = (alpha[inner] > 0) & (alpha[inner] < OPAQUE)
            if not partial.any():
                continue
            # Means reach RADIUS beyond the tile: it is as if there were no tiles.
            first = max(0, top - RADIUS), max(0, left - RADIUS)
            outer = slice(first[0], inner[0].stop + RADIUS), slice(first[1], inner[1].stop + RADIUS)
            rows, columns = np.nonzero(partial)
            places = rows + top - first[0], columns + left - first[1]
            colours[inner][rows, columns] = _estimate(image[outer], alpha[outer], places)
    return colours


def _estimate(image: NDArray[np.uint8], alpha: NDArray[np.uint8], places: _Places) -> NDArray[np.uint8]:
    """Foreground colours (N, 3) at N places of a tile, whose alpha is partial: there is some of both around them."""
    share = (alpha / np.float32(OPAQUE))[..., None]
    own = image[places].astype(np.float32)
    front, behind = _mean(image, share, places), _mean(image, 1 - share, places)
    part = share[places]
    estimated = front + part * (own - part * front - (1 - part) * behind)
    return (estimated + 0.5).clip(0, 255).astype(np.uint8)


def _mean(image: NDArray[np.uint8], weights: _Floats, places: _Places) -> _Floats:
    """Weighted mean colours (N, 3) around the places."""
    sums = _window_sums(np.concatenate((image * weights, weights), axis=2))[places]
    return sums[:, :3] / sums[:, 3:]


def _window_sums(values: _Floats) -> _Floats:
    """Sums over (2 RADIUS + 1)^2 pixels around each pixel of (h, w, C); beyond the edge there is nothing."""
    for axis in (0, 1):
        edges = [(0, 0)] * 3
        edges[axis] = RADIUS + 1, RADIUS
        totals = np.cumsum(np.pad(values, edges), axis=axis, dtype=np.float64)
        length = values.shape[axis]
        before = np.take(totals, range(length), axis=axis)
        values = np.take(totals, range(2 * RADIUS + 1, length + 2 * RADIUS + 1), axis=axis) - before
    return values
