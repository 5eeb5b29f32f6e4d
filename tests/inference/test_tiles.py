"""Large images in tiles: what tiles cut is whole again, nothing is lost or doubled, and the order does not matter."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import label

import pointrend
from pointrend.errors import InvalidOption
from pointrend.images.decode import decode
from pointrend.inference.tile_grid import MAX_TILES, OVERLAP, Tile, TileGrid
from pointrend.inference.tile_join import Piece, join
from pointrend.inference.tiles import segment_in_tiles
from pointrend.masks.encode import encode_mask
from pointrend.structures.options import LARGEST_TILE, SMALLEST_TILE, Options
from pointrend.structures.prediction import Instance
from tests.inference.painted import near_sighted, painted

DEMO = Path(__file__).parents[1] / "demo"
TILES = Options(tiles=256)
SIZE = (600, 700)  # (height, width): tiles of 256 pixels start at 0, 172, 344 down and 0, 148, 296, 444 across


@pytest.fixture(scope="module")
def segmenter():
    return pointrend.load("demo")


def canvas(*objects, size=SIZE):
    """An image with objects: (x0, y0, x1, y1) of a category, each with a score of its own."""
    image = np.zeros((*size, 3), np.uint8)
    for number, (x0, y0, x1, y1, category) in enumerate(objects, start=1):
        image[y0:y1, x0:x1] = category, number, 50 + number
    return image


def masks(prediction, size=SIZE):
    return [instance.mask(size) for instance in prediction.instances]


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(SMALLEST_TILE, 1200))
def test_tiles_cover_the_image_overlap_and_lie_flush_with_it(height, width, side):
    grid = TileGrid.of((height, width), side)
    for length, edges in ((width, {(t.x0, t.x1) for t in grid.tiles}), (height, {(t.y0, t.y1) for t in grid.tiles})):
        intervals = sorted(edges)
        assert intervals[0][0] == 0
        assert intervals[-1][1] == length
        assert {end - start for start, end in intervals} == {min(side, length)}
        overlaps = [before[1] - after[0] for before, after in pairwise(intervals)]
        assert all(overlap >= int(OVERLAP * side) for overlap in overlaps)
    assert len(set(grid.tiles)) == len(grid.tiles)


@pytest.mark.parametrize(
    ("size", "side", "advice"),
    [((5000, 9000), 256, "send tiles=428 or more"), ((300_000, 300_000), 4096, "send a smaller image")],
)
def test_too_many_tiles_are_refused_with_what_would_do(size, side, advice):
    with pytest.raises(InvalidOption, match=rf"tiles={side} cuts this image .* at most 400 are allowed.*{advice}") as e:
        TileGrid.of(size, side)
    assert (e.value.field, e.value.limit, e.value.value, e.value.code) == ("tiles", MAX_TILES, side, "too_many_tiles")


def test_the_tiles_that_are_advised_are_allowed_and_no_smaller_ones_are():
    assert len(TileGrid.of((5000, 9000), 428).tiles) <= MAX_TILES
    with pytest.raises(InvalidOption):
        TileGrid.of((5000, 9000), 427)


@pytest.mark.parametrize("value", [10, SMALLEST_TILE - 1, LARGEST_TILE + 1, "large", 512.5, True])
def test_a_tile_of_no_such_size_is_refused(value):
    with pytest.raises(InvalidOption, match="tiles must be a whole number from 256 to 4096") as raised:
        Options.parse({"tiles": value})
    assert (raised.value.field, raised.value.limit) == ("tiles", [SMALLEST_TILE, LARGEST_TILE])


@pytest.mark.parametrize(
    "other",
    [
        {"task": "semantic"},
        {"task": "detection"},
        {"points": True},
        {"boxes": [[0, 0, 9, 9]]},
        {"masks": "probability"},
        {"format": "uncertainty"},
    ],
)
def test_tiles_are_refused_beside_what_cannot_be_joined(segmenter, other):
    with pytest.raises(InvalidOption, match=r"^tiles=512 .*leave one of the two out\.$") as raised:
        Options.parse({"tiles": "512", **other})
    assert (raised.value.field, raised.value.code) == ("tiles", "unsupported_combination")
    with pytest.raises(InvalidOption, match="leave one of the two out"):
        segmenter(np.zeros((600, 600, 3), np.uint8), Options(tiles=512, **other))


@pytest.mark.parametrize("format", ["json", "png", "cutouts", "label_map"])
def test_tiles_go_with_every_format_of_instances(format):
    assert Options.parse({"tiles": 1024, "format": format}).tiles == 1024


@pytest.mark.parametrize(
    ("x0", "y0", "x1", "y1"),
    [
        (10, 10, 100, 120),  # in one tile
        (200, 20, 380, 120),  # across two, side by side
        (20, 150, 120, 330),  # across two, one below the other
        (180, 190, 400, 380),  # across four
        (5, 260, 695, 290),  # through all columns
        (0, 0, 700, 600),  # the whole image
        (150, 200, 250, 250),  # whole in several
    ],
)
def test_an_object_that_tiles_cut_is_one_object_with_its_mask(x0, y0, x1, y1):
    image = canvas((x0, y0, x1, y1, 3))
    prediction = segment_in_tiles(near_sighted, image, TILES)
    (instance,) = prediction.instances
    assert np.array_equal(instance.mask(), image.any(axis=2))
    assert instance.area == (x1 - x0) * (y1 - y0)
    assert instance.bbox == (x0, y0, x1 - x0, y1 - y0)
    assert (instance.category_id, instance.score) == (3, 0.51)
    assert (prediction.height, prediction.width) == SIZE


RECTANGLES = st.tuples(
    st.integers(0, 699), st.integers(0, 599), st.integers(2, 700), st.integers(2, 600), st.integers(1, 3)
)


@settings(max_examples=20)
@given(st.lists(RECTANGLES, min_size=1, max_size=8))
def test_no_object_is_lost_or_doubled_wherever_it_lies(drawn):
    """Rectangles over each other: what is left of each is found, as one object if it is in one part."""
    image = canvas(*((x, y, min(x + w, 700), min(y + h, 600), category) for x, y, w, h, category in drawn))
    found = segment_in_tiles(near_sighted, image, TILES).instances
    expected = {instance.score: instance.mask() for instance in painted(image, Options()).instances}
    assert {instance.score for instance in found} == set(expected)
    for score, mask in expected.items():
        again = [instance.mask() for instance in found if instance.score == score]
        assert np.array_equal(np.sum(again, axis=0), mask)
        if label(mask, connectivity=1).max() == 1:
            assert len(again) == 1


def test_neighbours_of_one_category_stay_apart():
    image = canvas((100, 100, 250, 300, 1), (250, 100, 420, 300, 1), (100, 300, 420, 420, 2))
    found = segment_in_tiles(near_sighted, image, TILES).instances
    assert {each.score: each.area for each in found} == {0.51: 150 * 200, 0.52: 170 * 200, 0.53: 320 * 120}


def test_masks_of_tiles_are_taken_before_those_of_the_whole_image():
    def coarse(image, options):
        """Of the whole image, sees every object shifted by 8 pixels."""
        return painted(np.roll(image, 8, axis=1) if max(image.shape) > 256 else image, options)

    boxes = [(20, 20, 420, 300), (480, 320, 600, 460), (480, 500, 500, 520)]
    found = segment_in_tiles(coarse, canvas(*((*box, 1) for box in boxes)), TILES).instances
    assert sorted(each.bbox for each in found) == [(x0, y0, x1 - x0, y1 - y0) for x0, y0, x1, y1 in boxes]


def test_what_only_the_whole_image_shows_is_kept_unless_it_is_small():
    def far_sighted(image, options):
        found = painted(image, options)
        return found if max(image.shape) > 256 else replace(found, instances=())

    image = canvas((20, 20, 420, 300, 1), (480, 500, 500, 520, 1))
    (instance,) = segment_in_tiles(far_sighted, image, TILES).instances
    assert instance.area == 400 * 280


def piece(tile, x0, y0, x1, y1, score=0.9, category=1):
    crop = np.ones((y1 - y0, x1 - x0), np.bool_)
    box = (float(x0), float(y0), float(x1 - x0), float(y1 - y0))
    return Piece(Instance(category, "thing", score, box, int(crop.sum()), encode_mask("rle", crop, x0, y0, SIZE)), tile)


GRID = TileGrid.of(SIZE, 256)
LEFT, RIGHT = GRID.tiles[0], GRID.tiles[1]


def test_a_cut_piece_that_the_next_tile_sees_whole_and_does_not_find_is_dropped():
    sliver = piece(LEFT, 200, 50, 256, 90)
    assert join([sliver], [], GRID) == []
    assert [each.bbox for each in join([sliver, piece(RIGHT, 200, 50, 300, 90)], [], GRID)] == [(200, 50, 100, 40)]


def test_a_cut_piece_that_no_other_tile_sees_whole_is_kept():
    assert len(join([piece(LEFT, 20, 50, 256, 90)], [], GRID)) == 1


def test_a_cut_piece_is_part_of_the_object_that_covers_it():
    object_, part = piece(Tile(0, 0, 700, 600), 10, 40, 500, 200, score=0.6), piece(LEFT, 20, 50, 256, 190, score=0.8)
    (instance,) = join([part], [object_], GRID)
    assert (instance.bbox, instance.score) == ((10, 40, 490, 160), 0.8)


def test_of_what_is_no_longer_than_a_tile_tiles_know_the_category():
    def calling_it_another(image, options):
        found = painted(image, options)
        if max(image.shape) <= 256:
            return found
        return replace(found, instances=tuple(replace(i, category_id=9, score=1.0) for i in found.instances))

    image = canvas((20, 20, 220, 180, 1), (230, 200, 690, 580, 1))
    found = segment_in_tiles(calling_it_another, image, TILES).instances
    assert {(each.category_id, each.score, each.area) for each in found} == {
        (1, 0.51, 200 * 160),
        (1, 0.52, 460 * 380),
        (9, 1.0, 460 * 380),
    }


def test_the_union_has_the_best_score_and_the_box_of_all_pieces():
    found = [piece(LEFT, 20, 50, 256, 90, 0.6), piece(RIGHT, 148, 52, 320, 92, 0.8)]
    (instance,) = join(found, [], GRID)
    assert (instance.score, instance.bbox) == (0.8, (20, 50, 300, 42))
    assert instance.area == 236 * 40 + 172 * 40 - 108 * 38


@pytest.mark.parametrize(("grids", "least"), [((112, 56), 56), ((224, 224), 224), ((None, None), None)])
def test_the_union_has_the_least_grid_of_its_pieces(grids, least):
    found = [piece(LEFT, 20, 50, 256, 90, 0.6), piece(RIGHT, 148, 52, 320, 92, 0.8)]
    told = [replace(each, instance=replace(each.instance, grid=grid)) for each, grid in zip(found, grids, strict=True)]
    assert [each.grid for each in join(told, [], GRID)] == [least]


def test_an_object_that_one_tile_holds_has_the_grid_of_that_tile():
    part, object_ = piece(LEFT, 200, 50, 256, 90), piece(RIGHT, 200, 50, 300, 90)
    told = [replace(part, instance=replace(part.instance, grid=28)), object_]
    told[1] = replace(object_, instance=replace(object_.instance, grid=112))
    assert [each.grid for each in join(told, [], GRID)] == [112]


def test_pieces_of_other_categories_are_not_joined():
    found = [piece(LEFT, 20, 50, 256, 90), piece(RIGHT, 148, 50, 320, 90, category=2)]
    assert len(join(found, [], GRID)) == 2


def test_the_order_of_pieces_is_of_no_effect():
    random = Random(0)
    pieces = []
    for tile in GRID.tiles:
        for _ in range(30):
            x0, y0 = random.randrange(tile.x0, tile.x1 - 1), random.randrange(tile.y0, tile.y1 - 1)
            x1, y1 = random.randrange(x0 + 1, tile.x1 + 1), random.randrange(y0 + 1, tile.y1 + 1)
            pieces.append(piece(tile, x0, y0, x1, y1, random.choice((0.5, 0.6, 0.7)), random.choice((1, 2))))
    whole = [piece(Tile(0, 0, 700, 600), 30 * n, 20 * n, 300 + 30 * n, 200 + 20 * n, 0.6) for n in range(6)]
    expected = join(pieces, whole, GRID)
    assert 50 < len(expected) < len(pieces)
    for _ in range(5):
        random.shuffle(pieces)
        random.shuffle(whole)
        assert join(pieces, whole, GRID) == expected


@pytest.mark.parametrize("form", ["polygon", "none"])
def test_masks_come_in_the_form_that_was_asked_for(form):
    image = canvas((180, 190, 400, 380, 3))
    (instance,) = segment_in_tiles(near_sighted, image, replace(TILES, masks=form)).instances
    assert instance.area == 220 * 190
    if form == "none":
        assert instance.segmentation is None
    else:
        mask, expected = instance.mask(SIZE), image.any(axis=2)
        assert (mask & expected).sum() / (mask | expected).sum() > 0.98


def test_the_best_are_kept_after_joining():
    image = canvas(*((40 * n, 10 + 30 * n, 40 * n + 30, 30 + 30 * n, 1) for n in range(15)))
    found = segment_in_tiles(near_sighted, image, replace(TILES, max_detections=4)).instances
    assert [each.score for each in found] == [0.65, 0.64, 0.63, 0.62]


def test_progress_is_told_by_tile():
    told = []
    segment_in_tiles(near_sighted, canvas(), TILES, lambda done, of: told.append((done, of)))
    assert told == [(done, 13) for done in range(1, 14)]


def test_an_image_that_a_tile_holds_is_segmented_as_without_tiles(segmenter):
    image = decode((DEMO / "astronaut.png").read_bytes())  # 512 x 512
    told = []
    tiled = segmenter(image, Options(tiles=512), on_tile=lambda *each: told.append(each))
    assert tiled.instances == segmenter(image).instances
    assert told == []
