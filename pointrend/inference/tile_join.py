"""Objects that tiles found, joined to the objects of the whole image.

A tile's edge cuts objects. Two tiles see the same object where, in what both of them see, their masks of it agree: that
is asked of the overlap alone, since the pieces of an object that is as long as two tiles have little else in common.
Ready-made slicers compare the pieces as wholes instead: ``supervision.InferenceSlicer`` (0.31) by the IoU of all their
pixels, or the share of the smaller one, SAHI (0.12) by that of their boxes. What joins the two halves of a bus then
joins neighbours too. Besides, supervision unpacks run lengths at a tile's size to compare them, and SAHI keeps
polygons, which fill holes.

Masks stay COCO's compressed run lengths, and pycocotools compares and unites them as such.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from pointrend.inference.tile_grid import OVERLAP, Tile, TileGrid
from pointrend.masks.rle import encode_crop
from pointrend.structures.prediction import Instance

SAME = 0.5  # IoU from which two masks, in the overlap of their tiles, or as wholes, are of one object
COVERED = 0.7  # share of a cut piece from which it is part of an object that was found whole
MARGIN = 0.01  # of a tile's side: a mask that ends this close to the tile's edge is cut by it


@dataclass(frozen=True, eq=False)
class Piece:
    """What one tile, or the look at the whole image, shows of an object.

    Attributes:
        instance: with its box in the image's pixels and its mask as run lengths of the whole image.
        tile: where it was found.
    """

    instance: Instance
    tile: Tile

    @property
    def rle(self) -> dict[str, Any]:
        """The mask."""
        assert isinstance(self.instance.segmentation, dict)  # as asked for
        return self.instance.segmentation

    @cached_property
    def extent(self) -> Tile:
        """The smallest rectangle that holds the mask; where it is empty, one without pixels."""
        x, y, width, height = (int(value) for value in coco_mask.toBbox(self.rle))
        return Tile(x, y, x + width, y + height)

    @property
    def key(self) -> tuple[Any, ...]:
        """Orders pieces by what they are, whatever order they came in."""
        each = self.instance
        return -each.score, each.category_id, each.bbox, self.tile, self.rle["counts"]


@dataclass(frozen=True, eq=False, slots=True)
class _Object:
    """What is known of one object.

    Attributes:
        piece: its mask, box and score.
        cut: whether it goes on where no tile has shown it.
        rank: which mask is believed first where several are of one object; 0 is best.
    """

    piece: Piece
    cut: bool
    rank: int


_TILES, _WHOLE_LARGE, _WHOLE, _CUT = range(4)  # ranks


def join(pieces: Iterable[Piece], whole: Iterable[Piece], grid: TileGrid) -> list[Instance]:
    """Join what tiles found, and add what only the look at the whole image shows.

    - Pieces of one category are of one object where their masks have an IoU of at least :data:`SAME` in the overlap of
      their tiles; best agreement first, and at most one piece from each tile. If one of the tiles holds all of the
      object, the object has that tile's mask, otherwise the union of all pieces.
    - Objects of one category whose masks have that IoU are one; the mask of the tiles, which is finer, is taken before
      that of the whole image, unless the object goes on where no tile has shown it.
    - Where tiles and the whole image disagree on the category of what is no longer than a tile, the tiles are right.
    - A piece that is still cut is dropped where an object of its category covers :data:`COVERED` of it, and where
      another tile sees all of the piece and what is beyond its cut, but no such object.
    - The look at the whole image counts for objects that are longer than the overlap of two tiles: others are whole in
      a tile.

    An object's score is the highest of what was joined or dropped for it, and its grid the least of its mask's pieces.
    The order of the pieces is of no effect.

    Args:
        pieces: of the tiles.
        whole: of the whole image, scaled down.
        grid: all tiles, those without any objects too.

    Returns:
        the objects, best first, with their masks as run lengths; a piece with an empty mask is none.
    """
    found = sorted((piece for piece in pieces if piece.instance.area), key=lambda piece: piece.key)
    objects = [_united(group, grid) for group in _groups(found, grid.size) if not _is_refuted(group, grid)]
    for piece in whole:
        longest = max(piece.extent.x1 - piece.extent.x0, piece.extent.y1 - piece.extent.y0)
        if longest > OVERLAP * grid.side:
            objects.append(_Object(piece, cut=False, rank=_WHOLE_LARGE if longest > grid.side else _WHOLE))
    return [each.instance for each in sorted(_distinct(objects), key=lambda piece: piece.key)]


def _groups(found: Sequence[Piece], size: tuple[int, int]) -> list[list[Piece]]:
    """Pieces, in the order of their keys, by the object that they are of."""
    by_tile: dict[Tile, dict[Any, list[int]]] = defaultdict(lambda: defaultdict(list))
    for index, piece in enumerate(found):
        by_tile[piece.tile][piece.instance.category_id].append(index)
    agreements: list[tuple[float, int, int]] = []
    for tile, other in combinations(sorted(by_tile), 2):
        common = tile.overlap(other)
        if common is not None:
            rectangle = _filled(common, size)
            for category in sorted(by_tile[tile].keys() & by_tile[other].keys()):
                sides = by_tile[tile][category], by_tile[other][category]
                agreements += _agreements(found, sides, common, rectangle)
    group_of = [[index] for index in range(len(found))]
    for _, one, another in sorted(agreements):
        first, second = group_of[one], group_of[another]
        if {found[index].tile for index in first}.isdisjoint(found[index].tile for index in second):
            first += second
            for index in second:
                group_of[index] = first
    return [[found[index] for index in sorted(group)] for index, group in enumerate(group_of) if index == min(group)]


def _agreements(
    found: Sequence[Piece], sides: tuple[list[int], list[int]], common: Tile, rectangle: dict[str, Any]
) -> list[tuple[float, int, int]]:
    """Pairs of pieces, one from each tile, that agree in what the tiles have in common: (-IoU, index, index)."""
    near, far = ([index for index in side if found[index].extent.overlap(common)] for side in sides)
    if not near or not far:
        return []
    clipped = (
        [coco_mask.merge([found[index].rle, rectangle], intersect=True) for index in side] for side in (near, far)
    )
    overlaps = coco_mask.iou(*clipped, [0] * len(far))
    return [
        (-float(overlaps[row, column]), near[row], far[column])
        for row, column in np.argwhere(overlaps >= SAME).tolist()
    ]


def _is_refuted(group: Sequence[Piece], grid: TileGrid) -> bool:
    """Whether a lone piece is cut, but not for another tile, which did not find the object."""
    (piece, *others) = group
    if others or not _is_cut(piece, [], grid):
        return False
    seeing = [tile for tile in grid.tiles if tile != piece.tile and tile.holds(piece.extent)]
    return bool(seeing) and not _is_cut(piece, seeing, grid)


def _united(group: Sequence[Piece], grid: TileGrid) -> _Object:
    """One object of its pieces, best first."""
    extents = [piece.extent for piece in group]
    box = Tile(
        min(each.x0 for each in extents),
        min(each.y0 for each in extents),
        max(each.x1 for each in extents),
        max(each.y1 for each in extents),
    )
    cut = [_is_cut(piece, [other.tile for other in group], grid) for piece in group]
    holding = sorted((is_cut, index) for index, is_cut in enumerate(cut) if group[index].tile.holds(box))
    best = group[0].instance
    if holding:
        still_cut, index = holding[0]
        instance = replace(group[index].instance, score=best.score)
    else:
        merged = coco_mask.merge([piece.rle for piece in group])
        rle = {"size": list(grid.size), "counts": merged["counts"].decode("ascii")}
        grids = [piece.instance.grid for piece in group if piece.instance.grid is not None]
        instance = replace(
            best,
            bbox=_hull(group),
            area=int(coco_mask.area(merged)),
            segmentation=rle,
            grid=min(grids, default=None),
        )
        still_cut = any(cut)
    return _Object(Piece(instance, group[0].tile), still_cut, _CUT if still_cut else _TILES)


def _is_cut(piece: Piece, others: Sequence[Tile], grid: TileGrid) -> bool:
    """Whether a piece ends at an edge of its tile that is neither the image's nor inside one of the other tiles."""
    margin = max(1, round(MARGIN * grid.side))
    tile, extent = piece.tile, piece.extent
    height, width = grid.size
    return (
        (tile.x0 > 0 and extent.x0 < tile.x0 + margin and not any(o.x0 < tile.x0 < o.x1 for o in others))
        or (tile.y0 > 0 and extent.y0 < tile.y0 + margin and not any(o.y0 < tile.y0 < o.y1 for o in others))
        or (tile.x1 < width and extent.x1 > tile.x1 - margin and not any(o.x0 < tile.x1 < o.x1 for o in others))
        or (tile.y1 < height and extent.y1 > tile.y1 - margin and not any(o.y0 < tile.y1 < o.y1 for o in others))
    )


def _hull(group: Sequence[Piece]) -> tuple[float, float, float, float]:
    """The box around the pieces' boxes, as COCO writes it."""
    boxes = np.array([piece.instance.bbox for piece in group])
    x, y = boxes[:, :2].min(axis=0).tolist()
    right, bottom = (boxes[:, :2] + boxes[:, 2:]).max(axis=0).tolist()
    return x, y, right - x, bottom - y


def _distinct(objects: Iterable[_Object]) -> list[Piece]:
    """Each object once, with the mask of the best rank and the highest score."""
    ordered = sorted(objects, key=lambda each: (each.rank, each.piece.key))
    pieces = [each.piece for each in ordered]
    extents = np.array([(p.extent.x0, p.extent.y0, p.extent.x1, p.extent.y1) for p in pieces]).reshape(-1, 4)
    categories = np.array([piece.instance.category_id for piece in pieces])
    kept = np.zeros(len(ordered), dtype=np.bool_)
    for index, each in enumerate(ordered):
        before = extents[:index]
        near = kept[:index] & ((before[:, :2] < extents[index, 2:]) & (before[:, 2:] > extents[index, :2])).all(axis=1)
        same_category = categories[:index] == categories[index]
        if each.rank != _WHOLE:
            near &= same_category
        candidates = np.flatnonzero(near)
        same = candidates[_same_object(each, [pieces[other] for other in candidates])]
        kept[index] = not same.size
        for other in same[same_category[same]][:1]:
            instance = pieces[other].instance
            score = max(instance.score, each.piece.instance.score)
            pieces[other] = replace(pieces[other], instance=replace(instance, score=score))
    return [pieces[index] for index in np.flatnonzero(kept)]


def _same_object(each: _Object, others: Sequence[Piece]) -> NDArray[np.bool_]:
    """Which of the others, (N,), show the same object, or one that a cut piece is part of."""
    if not others:
        return np.zeros(0, dtype=np.bool_)
    mask, masks = [each.piece.rle], [other.rle for other in others]
    same: NDArray[np.bool_] = coco_mask.iou(mask, masks, [0] * len(masks))[0] >= SAME
    if each.cut:  # pycocotools has the share of a mask that a crowd's region covers
        same |= coco_mask.iou(mask, masks, [1] * len(masks))[0] >= COVERED
    return same


def _filled(tile: Tile, size: tuple[int, int]) -> dict[str, Any]:
    """A rectangle as a mask of the whole image."""
    pixels = np.ones((tile.y1 - tile.y0, tile.x1 - tile.x0), dtype=np.bool_)
    return encode_crop(pixels, tile.x0, tile.y0, *size)
