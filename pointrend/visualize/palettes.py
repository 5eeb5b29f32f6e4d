"""Colours of categories: a dataset's own where it has any, so that pictures look as its users know them."""

from __future__ import annotations

import colorsys

Colour = tuple[int, int, int]

_GOLDEN_RATIO = 0.618033988749895
_SHADES = ((0.85, 0.95), (0.55, 1.0), (0.95, 0.7))  # (saturation, value), one after the other

# Cityscapes' own, by its ids and names; both, as other datasets have the same ids for other things.
CITYSCAPES: dict[tuple[int, str], Colour] = {
    (7, "road"): (128, 64, 128),
    (8, "sidewalk"): (244, 35, 232),
    (11, "building"): (70, 70, 70),
    (12, "wall"): (102, 102, 156),
    (13, "fence"): (190, 153, 153),
    (17, "pole"): (153, 153, 153),
    (19, "traffic light"): (250, 170, 30),
    (20, "traffic sign"): (220, 220, 0),
    (21, "vegetation"): (107, 142, 35),
    (22, "terrain"): (152, 251, 152),
    (23, "sky"): (70, 130, 180),
    (24, "person"): (220, 20, 60),
    (25, "rider"): (255, 0, 0),
    (26, "car"): (0, 0, 142),
    (27, "truck"): (0, 0, 70),
    (28, "bus"): (0, 60, 100),
    (31, "train"): (0, 80, 100),
    (32, "motorcycle"): (0, 0, 230),
    (33, "bicycle"): (119, 11, 32),
}


def colour(index: int) -> Colour:
    """The colour of the instance ``index`` (0 is the best) or of a category id, as RGB; the same in every picture.

    Hues step by the golden ratio, which keeps any number of them apart; shades differ between neighbours.
    """
    saturation, value = _SHADES[index % len(_SHADES)]
    red, green, blue = colorsys.hsv_to_rgb((0.58 + index * _GOLDEN_RATIO) % 1, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def category_colour(number: int, name: str) -> Colour:
    """The colour of a category, by its id and name, as RGB: its dataset's, or else that of its id."""
    return CITYSCAPES.get((number, name)) or colour(number)
