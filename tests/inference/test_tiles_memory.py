"""What tiles take at their peak, measured, does not grow with their number: no mask is ever as large as the image."""

from __future__ import annotations

from tests.peak_memory import printed_by

SPARE = 3_000_000  # bytes: an eighth of a single mask of the larger image
MEASURE = """
import json
import numpy as np
from pointrend.inference.tiles import segment_in_tiles
from pointrend.structures.options import Options
from pointrend.structures.prediction import Prediction
from tests.inference.painted import painted
from tests.peak_memory import peak_of

def segment(image, options):
    if max(image.shape) > 512:
        return Prediction(image.shape[1], image.shape[0], (), {})
    return painted(image, options)

for height, width in ((900, 900), (900, 900), (4000, 6000)):  # at first, what is loaded once
    image = np.zeros((height, width, 3), np.uint8)
    places = [(x, y) for y in range(0, height - 290, 310) for x in range(0, width - 290, 310)]
    for number, (x, y) in enumerate(places):
        image[y : y + 290, x : x + 290] = 1, number % 200 + 1, 50 + number // 200  # each is cut or in several tiles
    tiles = []
    found, taken = peak_of(
        lambda: segment_in_tiles(segment, image, Options(tiles=512), lambda done, of: tiles.append(of))
    )
    print(json.dumps([len(places), len(found.instances), len(tiles), taken]), flush=True)
"""


def test_the_peak_does_not_grow_with_the_number_of_tiles():
    _, few, many = printed_by(MEASURE)
    assert few[:3] == [4, 4, 5]
    assert many[:3] == [228, 100, 151]  # the 100 best are answered
    assert many[3] < few[3] + SPARE
