"""Where the tiles of a large image lie: full-size, overlapping, and flush with the image's edges.

Shapes: H, W of the image and S of a tile's side, in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

from pointrend.errors import InvalidOption
from pointrend.structures.options import LARGEST_TILE

OVERLAP = 0.2  # of a tile's side, at least: an object up to this long is whole in one of the tiles
MAX_TILES = 400  # so many that tiles of 512 pixels cover 50 megapixels, of any shape up to 30,000 pixels a side


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """A rectangle of the image, in whole pixels; ``x1`` and ``y1`` are past its last column and row."""

    x0: int
    y0: int
    x1: int
    y1: int

    def overlap(self, other: Tile) -> Tile | None:
        """What two tiles have in common; None where that is nothing."""
        x0, y0 = max(self.x0, other.x0), max(self.y0, other.y0)
        x1, y1 = min(self.x1, other.x1), min(self.y1, other.y1)
        return Tile(x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None

    def holds(self, other: Tile) -> bool:
        """Whether another rectangle lies inside."""
        return self.x0 <= other.x0 and self.y0 <= other.y0 and other.x1 <= self.x1 and other.y1 <= self.y1


@dataclass(frozen=True, slots=True)
class TileGrid:
    """The tiles of an image.

    Attributes:
        size: the image's (height, width).
        side: S; where the image is smaller, so are its tiles.
        tiles: row by row; together they are the image.
    """

    size: tuple[int, int]
    side: int
    tiles: tuple[Tile, ...]

    @classmethod
    def of(cls, size: tuple[int, int], side: int, most: int = MAX_TILES) -> TileGrid:
        """The fewest tiles that cover an image with the overlap, evenly spread.

        Args:
            size: the image's (height, width).
            side: S.
            most: how many tiles there may be.

        Raises:
            InvalidOption: more than ``most``; says which ``tiles`` would do.

        >>> [tile.x0 for tile in TileGrid.of((1000, 2400), 1000).tiles]
        [0, 700, 1400]
        """
        height, width = size
        count = _count(height, side) * _count(width, side)
        if count > most:
            raise InvalidOption(
                f"tiles={side} cuts this image of {width}x{height} pixels into {count} tiles; at most {most} are "
                f"allowed: {_advice(size, side, most)}.",
                field="tiles",
                limit=most,
                value=side,
                code="too_many_tiles",
            )
        columns, rows = _starts(width, side), _starts(height, side)
        return cls(
            size, side, tuple(Tile(x, y, min(x + side, width), min(y + side, height)) for y in rows for x in columns)
        )


def _advice(size: tuple[int, int], side: int, most: int) -> str:
    """What makes it fewer tiles."""
    for larger in range(side, LARGEST_TILE + 1):
        if _count(size[0], larger) * _count(size[1], larger) <= most:
            return f"send tiles={larger} or more"
    return "leave tiles out, or send a smaller image"


def _count(length: int, side: int) -> int:
    """Tiles along an edge, in integers: each but the first adds at most the side without the overlap."""
    step = side - int(side * OVERLAP)
    return 1 + max(0, -(-(length - side) // step))


def _starts(length: int, side: int) -> list[int]:
    count = _count(length, side)
    return [index * (length - side) // (count - 1) for index in range(count)] if count > 1 else [0]
