"""Polygons filled as runs of pixels, with COCO's own rule for which pixels are inside.

pycocotools walks every fifth of a pixel along an outline, wherever it leads; a point at 1e9 ends the process. Here only
the columns of the image that an edge crosses are looked at, so that the cost is bounded whatever the points are.

Shapes: N edges, C crossings of an edge with a column of pixels. Units: fifths of a pixel where a name has ``u`` or
``v`` (along x and y), else pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pointrend.masks.rle import Places, checked_size

MAX_CROSSINGS = 2_000_000

Reals = NDArray[np.float64]

_SCALE = 5  # as in pycocotools
_FAR = 2.0**28  # pixels; fifths of them still fit 32 bits, beyond which pycocotools' numbers overflow


class _Edges(NamedTuple):
    """Edges of closed outlines, each from (u0, v0) to (u1, v1), and the columns of the image that they cross."""

    part: Places
    u0: Places
    v0: Places
    u1: Places
    v1: Places
    first: Places
    crossed: Places


def check_polygons(parts: Sequence[Sequence[float]], size: tuple[int, int]) -> None:
    """Refuse what :func:`polygon_runs` does not fill; errors as there."""
    _edges(parts, *checked_size(size))


def polygon_runs(parts: Sequence[Sequence[float]], size: tuple[int, int]) -> tuple[Places, Places]:
    """Fill polygons; what lies outside the image is cut off.

    Args:
        parts: polygons, each ``[x0, y0, x1, y1, ...]`` in pixels, filled by the even-odd rule; the mask is their union.
        size: the image's (height, width).

    Returns:
        starts and ends as in :func:`pointrend.masks.rle.runs`.

    Raises:
        ValueError: a polygon is no list of pairs of finite numbers, or all of them together cross more than
            :data:`MAX_CROSSINGS` columns of pixels.
    """
    height, width = checked_size(size)
    edges = _edges(parts, height, width)
    total = int(edges.crossed.sum())
    edge = np.repeat(np.arange(len(edges.crossed)), edges.crossed)
    column = edges.first[edge] + np.arange(total) - np.repeat(np.cumsum(edges.crossed) - edges.crossed, edges.crossed)
    row = _rows(_Edges(*(values[edge] for values in edges)), _SCALE * column + 2, height)
    # A closed outline crosses a column an even number of times: from one crossing to the next it is inside.
    order = np.sort((edges.part[edge] * width + column) * (height + 1) + row)
    places = order // (height + 1) % max(width, 1) * height + order % (height + 1)
    return _union(places[0::2], places[1::2])


def _edges(parts: Sequence[Sequence[float]], height: int, width: int) -> _Edges:
    points = [_points(part) for part in parts]
    lengths = np.array([len(each) for each in points], dtype=np.int64)
    if lengths.sum() == 0:
        return _Edges(*[np.zeros(0, dtype=np.int64)] * len(_Edges._fields))
    x0, y0 = np.concatenate(points).T
    following = np.arange(len(x0)) + 1
    ends = np.cumsum(lengths)[lengths > 0]
    following[ends - 1] = ends - lengths[lengths > 0]
    x0, y0, x1, y1 = _near(x0, y0, x0[following], y0[following], width)
    u0, v0, u1, v1 = (np.trunc(_SCALE * values + 0.5).astype(np.int64) for values in (x0, y0, x1, y1))
    # Column c is crossed between u = 5c + 2 and 5c + 3, the middle of its pixels.
    first = np.maximum(0, -((2 - np.minimum(u0, u1)) // _SCALE))
    last = np.minimum(width - 1, (np.maximum(u0, u1) - 3) // _SCALE)
    crossed = np.maximum(0, last - first + 1) if height else np.zeros_like(first)
    if crossed.sum() > MAX_CROSSINGS:
        raise ValueError(
            f"The outline of a mask crosses {crossed.sum()} columns of pixels; at most {MAX_CROSSINGS} are filled."
        )
    return _Edges(np.repeat(np.arange(len(points)), lengths), u0, v0, u1, v1, first, crossed)


def _points(part: Sequence[float]) -> Reals:
    """A polygon as (N, 2)."""
    try:
        values = np.asarray(part, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"A polygon is a list of numbers, x and y in turn, not {part!r:.100}.") from error
    if values.ndim != 1 or values.size % 2 or not np.isfinite(values).all():
        raise ValueError(f"A polygon is a list of finite numbers, x and y in turn, not {part!r:.100}.")
    return values.reshape(-1, 2)


def _near(x0: Reals, y0: Reals, x1: Reals, y1: Reals, width: int) -> tuple[Reals, Reals, Reals, Reals]:
    """Edges that lead far away, cut off beside the image; the others as they are, to the last bit."""
    far = np.flatnonzero(np.abs((x0, y0, x1, y1)).max(axis=0) > _FAR)
    if far.size == 0:
        return x0, y0, x1, y1
    near = tuple(values.copy() for values in (x0, y0, x1, y1))
    x0, y0, x1, y1 = (values[far] for values in near)
    left = np.where(np.abs(x0) < np.abs(x1), x0, x1) / 4  # the difference of two quarters does not overflow
    right = np.where(np.abs(x0) < np.abs(x1), x1, x0) / 4
    y_left, y_right = np.where(np.abs(x0) < np.abs(x1), (y0, y1), (y1, y0))
    for x, y in (near[:2], near[2:]):
        end = x[far]
        cut = np.clip(end, -1.0, width + 1.0)
        share = np.clip((cut / 4 - left) / np.where(left == right, 1.0, right - left), 0.0, 1.0)
        x[far] = cut
        on_line = y_left * (1 - share) + y_right * share
        y[far] = np.clip(np.where(cut == end, y[far], on_line), -_FAR, _FAR)
    return near[0], near[1], near[2], near[3]


def _rows(edges: _Edges, u: Places, height: int) -> Places:
    """The row (C,) of the first pixel below each crossing, 0..height, where edge i crosses from u[i] to u[i] + 1."""
    du, dv = np.abs(edges.u1 - edges.u0), np.abs(edges.v1 - edges.v0)
    flat = du >= dv
    back = np.where(flat, edges.u0 > edges.u1, edges.v0 > edges.v1)
    u0, u1 = np.where(back, edges.u1, edges.u0), np.where(back, edges.u0, edges.u1)
    v0, v1 = np.where(back, edges.v1, edges.v0), np.where(back, edges.v0, edges.v1)
    v = np.empty_like(u)
    slope = (v1 - v0)[flat] / du[flat]
    walked = (u - u0)[flat]
    v[flat] = np.minimum(*(np.trunc(v0[flat] + slope * (walked + ahead) + 0.5) for ahead in (0, 1)))
    # Of a steep edge, the step before the first one whose point has passed the middle.
    steep = ~flat
    u, u0, slope = u[steep], u0[steep], (u1 - u0)[steep] / dv[steep]
    step = np.floor((u + 0.5 - u0) / slope).astype(np.int64) - 1
    step += sum(((u0 + slope * (step + ahead) + 0.5 >= u + 1) != (slope > 0)).astype(np.int64) for ahead in range(3))
    v[steep] = v0[steep] + np.clip(step, 1, dv[steep]) - 1
    rows: Places = np.ceil(np.clip((v + 0.5) / _SCALE - 0.5, 0, height)).astype(np.int64)
    return rows


def _union(starts: Places, ends: Places) -> tuple[Places, Places]:
    """Runs that may overlap, touch or be empty, as runs that do not."""
    filled = ends > starts
    order = np.argsort(starts[filled], kind="stable")
    starts, ends = starts[filled][order], np.maximum.accumulate(ends[filled][order])
    apart = starts[1:] > ends[:-1]
    return starts[np.concatenate(([True], apart))[: starts.size]], ends[np.concatenate((apart, [True]))[: ends.size]]
