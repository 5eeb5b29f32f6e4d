"""A mask as COCO's polygons, traced between its pixels and thinned out.

Coordinates are pixels of the image; a pixel covers [x, x + 1] x [y, y + 1].

Shapes: h, w of a mask's window, N points of a ring. A ring is closed: its last point is joined to its first.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from contourpy import FillType, contour_generator
from numpy.typing import NDArray

Ring = NDArray[np.float64]

TOLERANCE = 0.75


def polygons(crop: NDArray[np.bool_], x: int, y: int, tolerance: float = TOLERANCE) -> list[list[float]]:
    """Trace a mask that is known inside a window.

    Each part of the mask (its pixels joined by edges or corners) is one polygon. COCO knows no holes: a hole is joined
    to its part by a slit without width, there and back, which every even-odd or non-zero filling understands.

    Args:
        crop: (h, w) bool, the window's mask.
        x, y: the window's left and top in the image.
        tolerance: how far the outline may stray from the traced one, in pixels.

    Returns:
        flat ``[x0, y0, x1, y1, ...]``, each of three points or more; none for an empty mask.
    """
    # A border of empty pixels closes the outlines along the window's edges. Values lie at pixel centres, so that the
    # level half-way between 0 and 1 runs along the pixels' edges, with its corners cut.
    levels = np.pad(crop, 1).astype(np.float32)
    contours = contour_generator(z=levels, fill_type=FillType.OuterOffset).filled(0.5, np.inf)
    parts = []
    for points, offsets in zip(*contours, strict=True):
        shifted = points + np.array((x - 0.5, y - 0.5))
        rings = [
            _simplify(shifted[start : end - 1], tolerance)  # contourpy repeats a ring's first point at its end
            for start, end in pairwise(offsets)
        ]
        parts.append(join(rings[0], rings[1:]).ravel().tolist())
    return parts


def _simplify(ring: Ring, tolerance: float) -> Ring:
    """Douglas and Peucker (1973): keep the point that is farthest from its chord until all are near.

    A ring starts with two chords, between its first point and the one farthest from it; all chords are split at once. A
    ring that would lose its area stays as it is.
    """
    closed = np.vstack((ring, ring[:1]))
    kept = np.array([0, int(np.argmax(((ring - ring[0]) ** 2).sum(axis=1))), len(ring)])
    while True:
        lengths = np.diff(kept)
        distances = _distances(ring, np.repeat(closed[kept[:-1]], lengths, 0), np.repeat(closed[kept[1:]], lengths, 0))
        worst = np.maximum.reduceat(distances, kept[:-1])
        farthest = np.flatnonzero((distances == np.repeat(worst, lengths)) & (distances > tolerance))
        if farthest.size == 0:
            break
        _, first = np.unique(np.searchsorted(kept, farthest), return_index=True)
        kept = np.sort(np.concatenate((kept, farthest[first])))
    return ring[kept[:-1]] if len(kept) > 3 else ring


def _distances(points: Ring, starts: Ring, ends: Ring) -> NDArray[np.float64]:
    """Distances of points (N, 2) to their chords, from ``starts`` to ``ends`` (N, 2)."""
    along, relative = ends - starts, points - starts
    lengths = (along**2).sum(axis=1)
    places = np.clip((relative * along).sum(axis=1) / np.where(lengths > 0, lengths, 1), 0, 1)
    distances: NDArray[np.float64] = np.hypot(*(relative - places[:, None] * along).T)
    return distances


def join(outer: Ring, holes: list[Ring]) -> Ring:
    """One ring of several, by slits without width: each joined where it is nearest, so that no slit crosses another.

    Args:
        outer: (N, 2) points.
        holes: others inside it, or apart from it and from each other.
    """
    left = list(holes)
    while left:
        nearest = [_nearest(outer, hole) for hole in left]
        chosen = min(range(len(left)), key=lambda index: nearest[index][0])
        _, at, start = nearest[chosen]
        hole = np.roll(left.pop(chosen), -start, axis=0)
        outer = np.vstack((outer[: at + 1], hole, hole[:1], outer[at:]))
    return outer


def _nearest(ring: Ring, other: Ring) -> tuple[float, int, int]:
    """The smallest squared distance between the points of two rings, and where it is in each."""
    squared = ((ring[:, None] - other[None]) ** 2).sum(axis=2)
    at, start = divmod(int(squared.argmin()), len(other))
    return float(squared[at, start]), at, start
