"""A large image segmented in tiles: objects that are too small for a look at the whole image, in bounded memory.

At no time is there more than one tile's network input and one tile's dense mask; objects are kept as run lengths.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pointrend.inference.tile_grid import Tile, TileGrid
from pointrend.inference.tile_join import Piece, join
from pointrend.masks.encode import encode_mask
from pointrend.masks.rle import decode_crop, encode_crop
from pointrend.structures.option_combinations import check_tiles
from pointrend.structures.options import Options
from pointrend.structures.prediction import Instance, Prediction

MOST_PER_TILE = 100
Segment = Callable[[NDArray[np.uint8], Options], Prediction]
OnTile = Callable[[int, int], None]
"""Told after each tile how many are done, and of how many; the look at the whole image counts as one."""


def segment_in_tiles(
    segment: Segment, image: NDArray[np.uint8], options: Options, on_tile: OnTile | None = None
) -> Prediction:
    """Segment an image that is larger than a tile.

    Args:
        segment: a model: an (H, W, 3) uint8 RGB image in, a prediction out.
        image: (H, W, 3) uint8 RGB.
        options: ``tiles`` is the tiles' side in pixels.
        on_tile: told of each tile.

    Returns:
        instances as :func:`pointrend.inference.tile_join.join` joins them; ``timing_ms`` is the sum over all tiles, and
        ``encode`` holds the joining.

    Raises:
        InvalidOption: too many tiles, or options that tiles do not go with.
    """
    check_tiles(options)
    if options.tiles is None:
        raise ValueError("options.tiles says how large the tiles are.")
    height, width = size = image.shape[0], image.shape[1]
    grid = TileGrid.of(size, options.tiles)
    each = replace(options, tiles=None, zoom=False, masks="rle", max_detections=MOST_PER_TILE)
    timing: dict[str, float] = {}
    pieces: list[Piece] = []
    whole: list[Piece] = []
    everything = Tile(0, 0, width, height)
    for done, tile in enumerate((everything, *grid.tiles), start=1):
        prediction = segment(image[tile.y0 : tile.y1, tile.x0 : tile.x1], each)
        found = whole if tile is everything else pieces
        found += [Piece(_moved(instance, tile, size), tile) for instance in prediction.instances]
        for stage, taken in prediction.timing_ms.items():
            timing[stage] = timing.get(stage, 0.0) + taken
        if on_tile is not None:
            on_tile(done, 1 + len(grid.tiles))
    started = time.perf_counter()
    joined = join(pieces, whole, grid)[: options.max_detections]
    instances = tuple(_encoded(instance, options.masks, size) for instance in joined)
    timing["encode"] = timing.get("encode", 0.0) + (time.perf_counter() - started) * 1000
    return replace(prediction, width=width, height=height, instances=instances, timing_ms=timing)


def _moved(instance: Instance, tile: Tile, size: tuple[int, int]) -> Instance:
    """A tile's instance in the image's pixels."""
    assert isinstance(instance.segmentation, dict)  # as asked for
    left, top, crop = decode_crop(instance.segmentation)
    x, y, width, height = instance.bbox
    return replace(
        instance,
        bbox=(x + tile.x0, y + tile.y0, width, height),
        segmentation=encode_crop(crop, left + tile.x0, top + tile.y0, *size),
    )


def _encoded(instance: Instance, form: str, size: tuple[int, int]) -> Instance:
    """An instance with its mask, which is run lengths, in the form that was asked for."""
    if form == "rle":
        return instance
    assert isinstance(instance.segmentation, dict)
    x, y, crop = decode_crop(instance.segmentation)
    return replace(instance, segmentation=encode_mask(form, crop, x, y, size))
