"""Encoding masks alone: from each mask's own crop, against the same mask in a full frame.

    python benchmarks/encoding.py [--rounds 15] [--json FILE]

A hundred objects with crisp, ragged outlines at 1920x1080, from 32 to 720 pixels wide. Encoding starts where drawing
has ended: a mask's window is there, and so, for the other way, is the full frame that pycocotools wants (column-major
bytes). All ways take turns, round by round, so that whatever else the machine does falls on all of them; medians and
quartiles are of whole rounds. Polygons, and reading run lengths back, are measured beside.
The aim: a hundred in 25 ms, and a median of at most 4 KB an instance. The exit status is 1 where it is missed.
"""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from rich.console import Console
from rich.table import Table

from pointrend.masks.polygons import polygons
from pointrend.masks.rle import decode_crop, encode_crop

HEIGHT, WIDTH, COUNT = 1080, 1920, 100
SMALLEST, LARGEST = 32, 720  # widths, spread evenly by their logarithm
AIM_MS, AIM_BYTES = 25.0, 4096
SEED = 0

Crop = tuple[NDArray[np.bool_], int, int]


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds for all objects: the median of the rounds, their quartiles, and the fastest."""

    way: str
    median: float
    lower: float
    upper: float
    fastest: float


def blob(height: int, width: int, random: np.random.Generator) -> NDArray[np.bool_]:
    """A (height, width) mask: a disc whose radius wavers in forty harmonics, as a crisp outline of hair or leaves."""
    angles = np.linspace(0, 2 * np.pi, 1024, endpoint=False)
    radius = np.full(1024, 0.8)
    for harmonic in range(2, 42):
        radius += random.normal(0, 0.2 / harmonic) * np.cos(harmonic * angles + random.uniform(0, 2 * np.pi))
    y, x = np.mgrid[:height, :width]
    y, x = (y + 0.5) / height * 2 - 1, (x + 0.5) / width * 2 - 1
    inside: NDArray[np.bool_] = np.hypot(x, y) < np.interp(np.arctan2(y, x), angles, radius, period=2 * np.pi)
    return inside


def crops(random: np.random.Generator) -> list[Crop]:
    """Objects of many sizes, each in its window, somewhere in the photo."""
    placed = []
    for width in np.exp(random.uniform(np.log(SMALLEST), np.log(LARGEST), COUNT)).astype(int).tolist():
        height = min(HEIGHT, int(width * random.uniform(0.7, 1.4)))
        x, y = random.integers(0, WIDTH - width + 1), random.integers(0, HEIGHT - height + 1)
        placed.append((blob(height, width, random), int(x), int(y)))
    return placed


def frame(mask: NDArray[np.bool_], x: int, y: int) -> NDArray[np.uint8]:
    """The mask in a photo's frame."""
    full = np.zeros((HEIGHT, WIDTH), np.uint8, order="F")
    full[y : y + mask.shape[0], x : x + mask.shape[1]] = mask
    return full


def elapsed_ms(work: Callable[[], object]) -> float:
    """How long it takes, once."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def measure(ways: dict[str, Callable[[], object]], rounds: int) -> list[Timing]:
    """Time every way, in turns."""
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, work in ways.items():
            taken[way].append(elapsed_ms(work))
    timings = []
    for way, milliseconds in taken.items():
        lower, median, upper = statistics.quantiles(milliseconds, n=4)
        timings.append(Timing(way, median, lower, upper, min(milliseconds)))
    return timings


def encode(objects: list[Crop]) -> list[dict[str, Any]]:
    """What the server does."""
    return [encode_crop(mask, x, y, HEIGHT, WIDTH) for mask, x, y in objects]


def main(
    rounds: Annotated[int, typer.Option(min=2, help="Of each way.")] = 15,
    json_file: Annotated[Path | None, typer.Option("--json", help="A file that receives the figures.")] = None,
) -> None:
    """Measure, and print a table."""
    objects = crops(np.random.default_rng(SEED))
    frames = [frame(*each) for each in objects]
    encoded = encode(objects)
    for ours, full in zip(encoded, frames, strict=True):
        if ours["counts"] != coco_mask.encode(full)["counts"].decode():
            raise SystemExit("The two ways disagree: nothing was measured.")

    timings = measure(
        {
            "crop, runs shifted": lambda: encode(objects),
            "full frame": lambda: [coco_mask.encode(full) for full in frames],
            "polygons": lambda: [polygons(mask, x, y) for mask, x, y in objects],
            "run lengths, read back": lambda: [decode_crop(each) for each in encoded],
        },
        rounds,
    )
    sizes = [len(each["counts"]) for each in encoded]
    median_bytes = statistics.median(sizes)
    met = timings[0].median <= AIM_MS and median_bytes <= AIM_BYTES

    table = Table("way", "median", "quartiles", "fastest", title=f"{COUNT} instances at {WIDTH}x{HEIGHT}, ms for all")
    for timing in timings:
        quartiles = f"{timing.lower:.1f} to {timing.upper:.1f}"
        table.add_row(timing.way, f"{timing.median:.1f}", quartiles, f"{timing.fastest:.1f}")
    console = Console()
    console.print(table)
    console.print(f"Bytes an instance as run lengths: median {median_bytes:.0f}, largest {max(sizes)}.")
    console.print(f"The aim, {AIM_MS:g} ms and {AIM_BYTES} bytes, is {'met' if met else 'missed'}.")
    if json_file is not None:
        figures = {
            "machine": {"processor": platform.machine(), "python": platform.python_version()},
            "setting": {"instances": COUNT, "width": WIDTH, "height": HEIGHT, "rounds": rounds, "seed": SEED},
            "ms": [asdict(timing) for timing in timings],
            "bytes": {"median": median_bytes, "largest": max(sizes)},
            "aim": {"ms": AIM_MS, "median_bytes": AIM_BYTES, "met": met},
        }
        json_file.write_text(json.dumps(figures, indent=1) + "\n")
    raise SystemExit(0 if met else 1)


if __name__ == "__main__":
    typer.run(main)
