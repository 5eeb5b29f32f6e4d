"""What tiles take at their peak, measured, does not grow with their number: no mask is ever as large as the image."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

RESET = Path("/proc/self/clear_refs")
SPARE = 3_000_000  # bytes: an eighth of a single mask of the larger image
MEASURE = """
import gc, json
from pathlib import Path
import numpy as np
from pointrend.inference.tiles import segment_in_tiles
from pointrend.structures.options import Options
from pointrend.structures.prediction import Prediction
from tests.inference.painted import painted

def memory(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(key)).split()[1])

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
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    before = memory("VmRSS")
    found = segment_in_tiles(segment, image, Options(tiles=512), lambda done, of: tiles.append(of))
    print(json.dumps([len(places), len(found.instances), len(tiles), memory("VmHWM") - before]), flush=True)
"""


def test_the_peak_does_not_grow_with_the_number_of_tiles():
    if not os.access(RESET, os.W_OK):
        pytest.skip("The peak of a process cannot be measured anew here.")
    # Freed memory goes back to the system at once, so that what one image took does not hide what the next one does.
    environment = {
        **os.environ,
        "MALLOC_ARENA_MAX": "1",
        "MALLOC_MMAP_THRESHOLD_": "65536",
        "MALLOC_TRIM_THRESHOLD_": "0",
    }
    done = subprocess.run(
        [sys.executable, "-c", MEASURE], capture_output=True, text=True, check=False, env=environment, cwd=Path.cwd()
    )
    assert done.returncode == 0, done.stderr
    _, few, many = (json.loads(line) for line in done.stdout.splitlines())
    assert few[:3] == [4, 4, 5]
    assert many[:3] == [228, 100, 151]  # the 100 best are answered
    assert many[3] < few[3] + SPARE
