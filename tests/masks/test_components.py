"""Connected parts, against a flood fill."""

from __future__ import annotations

import numpy as np
import pytest

from pointrend.masks.components import connected_parts


def flooded(mask):
    """The parts of a mask, (h, w) bool each, by walking from pixel to pixel."""
    left, parts = {tuple(place) for place in np.argwhere(mask).tolist()}, []
    while left:
        edge, part = [left.pop()], np.zeros_like(mask)
        while edge:
            row, column = edge.pop()
            part[row, column] = True
            near = {(row + down, column + across) for down in (-1, 0, 1) for across in (-1, 0, 1)} & left
            left -= near
            edge.extend(near)
        parts.append(part)
    return parts


def whole(windows, shape, x=0, y=0):
    masks = []
    for left, top, part in windows:
        assert part.any(axis=0)[[0, -1]].all()  # the window is the smallest
        assert part.any(axis=1)[[0, -1]].all()
        mask = np.zeros(shape, dtype=bool)
        mask[top - y : top - y + part.shape[0], left - x : left - x + part.shape[1]] = part
        masks.append(mask)
    return masks


@pytest.mark.parametrize("seed", range(60))
def test_the_parts_are_those_of_a_flood_fill(seed):
    random = np.random.default_rng(seed)
    shape = tuple(random.integers(1, 30, 2))
    mask = random.random(shape) < random.choice([0.05, 0.2, 0.4, 0.6, 0.95])
    found = whole(connected_parts(mask, 5, 7), shape, 5, 7)
    areas = [int(part.sum()) for part in found]
    assert areas == sorted(areas, reverse=True)
    assert {part.tobytes() for part in found} == {part.tobytes() for part in flooded(mask)}


@pytest.mark.parametrize("seed", range(20))
def test_specks_stay_with_a_part_and_nothing_is_lost(seed):
    mask = np.random.default_rng(seed).random((40, 40)) < 0.3
    found = whole(connected_parts(mask, least=0.05), mask.shape)
    large = [part for part in flooded(mask) if part.sum() >= 0.05 * mask.sum()]
    assert len(found) == max(1, len(large))
    assert (np.sum(found, axis=0) == mask).all()


def test_a_speck_goes_with_the_nearest_part_not_with_the_largest():
    mask = np.zeros((20, 60), dtype=bool)
    mask[:, :20] = mask[5:15, 40:50] = mask[10, 55] = True
    one, other = whole(connected_parts(mask, least=0.01), mask.shape)
    assert not one[10, 55]
    assert other[10, 55]


def test_a_spiral_is_one_part_and_columns_that_follow_each_other_are_two():
    rows = [
        "#########",
        "........#",
        "#######.#",
        "#.....#.#",
        "#.###.#.#",
        "#.#...#.#",
        "#.#####.#",
        "#.......#",
        "#########",
    ]
    spiral = np.array([[pixel == "#" for pixel in row] for row in rows])
    assert len(connected_parts(spiral)) == len(flooded(spiral)) == 1
    apart = np.zeros((4, 2), dtype=bool)
    apart[-1, 0] = apart[0, 1] = True  # the end of a column and the beginning of the next
    assert len(connected_parts(apart)) == 2


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0), (4, 4)])
def test_an_empty_mask_has_none(shape):
    assert connected_parts(np.zeros(shape, dtype=bool)) == []
