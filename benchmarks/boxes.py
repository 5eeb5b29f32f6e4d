"""Masks for given boxes against a full detection, of the same objects.

    python benchmarks/boxes.py [PHOTO ...] [--model demo] [--engine eager] [--rounds 15] [--threads 2] [--json FILE]

Each photo is detected once; its detections' own boxes are then given as ``boxes``, without categories and with them,
which spares a class-specific head its box head. The three ways take turns on each photo, round by round, so that
whatever else the machine does falls on all of them; figures are of the whole prediction, from decoded pixels to
encoded masks. A photo without detections is left out. The exit status is 1 where boxes cost more than a detection.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import pointrend
from pointrend.images.inputs import pixels
from pointrend.inference.base import Segmenter
from pointrend.structures.boxes import BoxPrompt
from pointrend.structures.options import Options
from pointrend.system.machine import processor

DEMO = Path(__file__).parents[1] / "tests" / "demo"
DETECTED, BARE, NAMED = "detection", "boxes", "boxes with categories"
WAYS = (DETECTED, BARE, NAMED)


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds of one way on one photo: the median of the rounds, and their quartiles."""

    photo: str
    objects: int
    way: str
    median: float
    lower: float
    upper: float


def ways(segmenter: Segmenter[Any], image: NDArray[np.uint8], threshold: float) -> dict[str, Options]:
    """What is asked for in each way; empty where nothing is detected."""
    detection = Options(score_threshold=threshold, categories=("all",))
    found = segmenter(image, detection).instances
    if not found:
        return {}
    bare = tuple(BoxPrompt(*each.bbox) for each in found)
    named = tuple(box._replace(category=each.category) for box, each in zip(bare, found, strict=True))
    return {DETECTED: detection, BARE: Options(boxes=bare), NAMED: Options(boxes=named)}


def measure(run: Callable[[Options], object], asked: dict[str, Options], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of every round by way; the first, in which memory and kernels are made, does not count."""
    spent: dict[str, list[float]] = {way: [] for way in asked}
    for turn in range(rounds + 1):
        for way, options in asked.items():
            started = time.perf_counter()
            run(options)
            if turn:
                spent[way].append((time.perf_counter() - started) * 1000)
    return spent


def compare(segmenter: Segmenter[Any], photos: Sequence[Path], threshold: float, rounds: int) -> list[Timing]:
    """All ways on all photos that show something."""
    timings = []
    for photo in photos:
        image = pixels(photo)
        asked = ways(segmenter, image, threshold)
        for way, spent in measure(partial(segmenter, image), asked, rounds).items():
            lower, median, upper = statistics.quantiles(spent, n=4)
            timings.append(Timing(photo.name, len(asked[BARE].boxes or ()), way, median, lower, upper))
    return timings


def main(
    photos: Annotated[list[Path] | None, typer.Argument(help="Image files.")] = None,
    model: Annotated[str, typer.Option(help="Name or folder.")] = "demo",
    engine: str = "eager",
    threshold: Annotated[float, typer.Option(help="Score of a detection.")] = 0.3,
    rounds: Annotated[int, typer.Option(min=2)] = 15,
    threads: Annotated[int, typer.Option(min=1)] = 2,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
) -> None:
    """Compare masks for given boxes with a full detection."""
    console = Console()
    segmenter = pointrend.load(model, engine=engine, threads=threads)
    timings = compare(segmenter, photos or sorted(DEMO.glob("*.png")), threshold, rounds)
    if not timings:
        console.print(f"No photo has a detection of {threshold} or more.")
        raise typer.Exit(2)
    table = Table("photo", "objects", "way", "ms", "quartiles", "of detection")
    whole = {timing.photo: timing.median for timing in timings if timing.way == DETECTED}
    for each in timings:
        share = each.median / whole[each.photo]
        quartiles = f"{each.lower:.1f} to {each.upper:.1f}"
        table.add_row(each.photo, str(each.objects), each.way, f"{each.median:.1f}", quartiles, f"{share:.2f}")
    console.print(f"{model}, {engine}, {threads} threads on {processor()}, {rounds} rounds")
    console.print(table)
    shares = {
        way: statistics.median(each.median / whole[each.photo] for each in timings if each.way == way) for way in WAYS
    }
    console.print(f"Of a detection's time: {', '.join(f'{way} {shares[way]:.2f}' for way in WAYS[1:])}.")
    if json_file is not None:
        tree = {"model": model, "engine": engine, "threads": threads, "of_detection": shares}
        json_file.write_text(json.dumps({**tree, "timings": [asdict(each) for each in timings]}, indent=1) + "\n")
    raise typer.Exit(int(max(shares[BARE], shares[NAMED]) > 1))


if __name__ == "__main__":
    typer.run(main)
