"""The connected parts of a mask: pixels that touch by an edge or a corner. Needs no SciPy and no OpenCV.

Runs of filled pixels down the columns are joined, not single pixels, so that the cost follows the outline's length.

Shapes: h, w of a mask's window in pixels, N runs, E pairs of runs that touch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pointrend.masks.decode import Window

Indices = NDArray[np.int64]


def connected_parts(crop: NDArray[np.bool_], x: int = 0, y: int = 0, *, least: float = 0.0) -> list[Window]:
    """Cut a mask into its connected parts.

    >>> rows = ["##.#", "#..#", "...#"]
    >>> crop = np.array([[pixel == "#" for pixel in row] for row in rows])
    >>> [(left, top, part.shape, int(part.sum())) for left, top, part in connected_parts(crop)]
    [(0, 0, (2, 2), 3), (3, 0, (3, 1), 3)]

    Args:
        crop: (h, w) bool, the mask inside its window.
        x, y: the window's left and top in the image.
        least: a share of the mask's pixels, from 0 to 1; a smaller part stays with the part whose box is nearest, so
            that specks are no parts of their own.

    Returns:
        left, top and the bool mask of each part in its own smallest window, the largest part first, the leftmost of
        equal ones; together they are the mask. None of an empty mask.
    """
    starts, ends = _runs(crop)
    labels = _labels(starts, ends, crop.shape[0])
    if labels.size == 0:
        return []
    areas = np.bincount(labels, weights=ends - starts).astype(np.int64)
    places = np.empty_like(areas)
    order = np.argsort(-areas, kind="stable")
    places[order] = _hosts(order, areas, _boxes(starts, ends, labels, crop.shape[0]), least)
    owners = places[labels]
    return [_part(starts[owners == place], ends[owners == place], crop.shape[0], x, y) for place in np.unique(owners)]


def _runs(crop: NDArray[np.bool_]) -> tuple[Indices, Indices]:
    """Where the filled runs (N,) start and end, as places column * (h + 2) + row + 1; none leads into another column.

    Two empty rows between columns keep runs apart that only follow each other.
    """
    rows, columns = crop.shape
    padded = np.zeros((columns, rows + 2), dtype=np.bool_)
    padded[:, 1:-1] = crop.T
    changes = np.flatnonzero(np.diff(padded.ravel()))
    return changes[0::2] + 1, changes[1::2] + 1


def _labels(starts: Indices, ends: Indices, rows: int) -> Indices:
    """The part (N,) of each run, numbered from 0 by their first runs."""
    # In the next column, a run touches another that begins at its end at the latest, and ends at its start or later.
    low = np.searchsorted(ends, starts + rows + 2, side="left")
    high = np.searchsorted(starts, ends + rows + 2, side="right")
    counts = np.maximum(high - low, 0)
    first = np.repeat(np.arange(starts.size), counts)
    second = low[first] + np.arange(first.size) - np.repeat(np.cumsum(counts) - counts, counts)
    parents = np.arange(starts.size)
    while True:
        one, other = parents[first], parents[second]
        if (one == other).all():
            return np.unique(parents, return_inverse=True)[1]
        # Union: of two that touch, the one with the higher number hangs below the other; then find, for all at once.
        np.minimum.at(parents, np.maximum(one, other), np.minimum(one, other))
        while (parents[parents] != parents).any():
            parents = parents[parents]


def _boxes(starts: Indices, ends: Indices, labels: Indices, rows: int) -> Indices:
    """Left, top, right and bottom (K, 4) of each part."""
    boxes = np.empty((int(labels.max()) + 1, 4), dtype=np.int64)
    boxes[:, :2], boxes[:, 2:] = np.iinfo(np.int64).max, 0
    columns, tops = np.divmod(starts, rows + 2)
    for place, values, reduce in ((0, columns, np.minimum), (1, tops, np.minimum), (2, columns + 1, np.maximum)):
        reduce.at(boxes[:, place], labels, values)
    np.maximum.at(boxes[:, 3], labels, ends - columns * (rows + 2))
    return boxes


def _hosts(order: Indices, areas: Indices, boxes: Indices, least: float) -> Indices:
    """For each part of ``order``, the largest first, the place there of the part that it goes with: its own, mostly."""
    hosts = np.arange(order.size)
    large = max(1, int((areas >= least * areas.sum()).sum()))
    kept = boxes[order[:large]]
    for place in range(large, order.size):
        left, top, right, bottom = boxes[order[place]]
        across = np.maximum(0, np.maximum(kept[:, 0] - right, left - kept[:, 2]))
        down = np.maximum(0, np.maximum(kept[:, 1] - bottom, top - kept[:, 3]))
        hosts[place] = np.argmin(across**2 + down**2)
    return hosts


def _part(starts: Indices, ends: Indices, rows: int, x: int, y: int) -> Window:
    columns, tops = np.divmod(starts, rows + 2)
    bottoms = ends - columns * (rows + 2)
    left, top, right, bottom = columns[0], tops.min(), columns[-1] + 1, bottoms.max()
    height = int(bottom - top)
    steps = np.zeros((right - left) * (height + 1) + 1, dtype=np.int8)  # a spare row, in which the last runs end
    np.add.at(steps, (columns - left) * (height + 1) + tops - top, 1)
    np.add.at(steps, (columns - left) * (height + 1) + bottoms - top, -1)
    filled = np.cumsum(steps[:-1], dtype=np.int8).astype(np.bool_)
    return int(left) + x, int(top) - 1 + y, filled.reshape(-1, height + 1)[:, :height].T
