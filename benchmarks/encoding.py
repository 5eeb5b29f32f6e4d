"""What encoding masks costs, alone: ``python benchmarks/encoding.py``. Synthetic blobs, the same in every run.

Encoding starts where drawing has ended: a mask's window is there. It is measured in each form, and reading run lengths
back too.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from pointrend.polygons import polygons
from pointrend.rle import decode_crop, encode_crop

Window = tuple[int, int, NDArray[np.bool_]]


def blobs(count: int, width: int, height: int, seed: int = 0) -> list[Window]:
    """Windows of wavy blobs, 60 to 500 pixels across, as a crowded photo has them."""
    random = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        columns, rows = (min(int(side), limit) for side, limit in zip(random.uniform(60, 500, 2), (width, height)))
        x, y = int(random.integers(0, width - columns + 1)), int(random.integers(0, height - rows + 1))
        down, right = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, columns), indexing="ij")
        angle = np.arctan2(down, right)
        waves = [random.normal(0, 0.06) * np.sin(k * angle + random.uniform(0, 6)) for k in range(2, 14)]
        made.append((x, y, np.hypot(down, right) < 0.8 + sum(waves)))
    return made


def milliseconds(work: Callable[[], Any], repeats: int) -> float:
    """The quickest of several runs: what else the machine does only adds."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append((time.perf_counter() - started) * 1000)
    return min(times)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="instances")
    parser.add_argument("--width", type=int, default=1920)
    parser.add_argument("--height", type=int, default=1080)
    parser.add_argument("--repeats", type=int, default=10)
    asked = parser.parse_args(arguments)
    windows = blobs(asked.count, asked.width, asked.height)
    size = asked.height, asked.width
    encoded = [encode_crop(crop, x, y, *size) for x, y, crop in windows]
    traced = [polygons(crop, x, y) for x, y, crop in windows]
    rows = {
        "run lengths": (
            lambda: [encode_crop(crop, x, y, *size) for x, y, crop in windows],
            statistics.median(len(each["counts"]) for each in encoded),
        ),
        "polygons": (
            lambda: [polygons(crop, x, y) for x, y, crop in windows],
            statistics.median(sum(len(str(ring)) for ring in each) for each in traced),
        ),
        "run lengths, read back": (lambda: [decode_crop(each) for each in encoded], 0),
    }
    table = Table(f"{asked.count} instances, {asked.width}x{asked.height}", "ms in all", "median bytes an instance")
    for name, (work, median) in rows.items():
        table.add_row(name, f"{milliseconds(work, asked.repeats):.1f}", f"{median:.0f}" if median else "")
    Console().print(table)


if __name__ == "__main__":
    main()
