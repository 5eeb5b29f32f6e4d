"""What bounding the freed memory that a process keeps is worth, and what it costs: memory held, and seconds a photo.

    python benchmarks/memory.py [--model random:coco-r50-3x] [--engine eager ...] [--photos 48]

Photos of random sizes go through each engine in a process of its own, with the bound (``pointrend.memory``) and without
it. These are not interleaved, as one process cannot have both: repeat it on a quiet machine.
"""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pointrend.bench.subjects import open_model, picture
from pointrend.evaluation.tables import Table
from pointrend.image import decode
from pointrend.machine import processor
from pointrend.memory import LIMIT_MIB, Reserve, told
from pointrend.segmenter import load

BOUND, UNBOUND = f"bound, {LIMIT_MIB} MiB", "unbound"
HEADER = ("engine", "freed memory", "seconds a photo", "most held between photos, MiB", "most ever, MiB")
SHORTEST, LONGEST = 200, 1600  # pixels


@dataclass(frozen=True, slots=True)
class Held:
    """What a process did.

    Attributes:
        seconds: a photo's median.
        held_mib: the most that it held after a photo.
        peak_mib: the most ever.
    """

    seconds: float
    held_mib: int
    peak_mib: int


def measure(folder: str, engine: str, way: str, photos: int) -> Held:
    """Predict in this process, which has done nothing yet."""
    memory = Reserve() if way == BOUND else None
    segment = load(folder, engine=engine)
    photo = decode(picture(LONGEST, LONGEST))
    sizes = random.Random(0)
    seconds, held = [], []
    for _ in range(photos):
        height, width = sizes.randint(SHORTEST, LONGEST), sizes.randint(SHORTEST, LONGEST)
        image = photo[:height, :width].copy()
        started = time.perf_counter()
        segment(image)
        if memory is not None:
            memory.settle()
        seconds.append(time.perf_counter() - started)
        held.append(told("VmRSS") or 0)
    return Held(statistics.median(seconds), max(held), told("VmHWM") or 0)


def row(engine: str, way: str, held: Held) -> tuple[str, ...]:
    """A line of the table."""
    return engine, way, f"{held.seconds:.2f}", str(held.held_mib), str(held.peak_mib)


def main(
    model: Annotated[str, typer.Option(help="A model's name or folder.")] = "random:coco-r50-3x",
    engine: Annotated[list[str] | None, typer.Option(help="[default: eager and openvino-int8]")] = None,
    photos: Annotated[int, typer.Option(min=1, help="For each.")] = 48,
    alone: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Measure and tell."""
    if alone is not None:  # one process, which its parent has started
        (name,) = engine or ["eager"]
        print(json.dumps(asdict(measure(model, name, alone, photos))))
        return
    console = Console(width=None if Console().is_terminal else 160)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = str(open_model(model, Path(scratch)).path)
        for name in engine or ["eager", "openvino-int8"]:
            for way in (BOUND, UNBOUND):
                command = [sys.executable, __file__, "--model", folder, "--engine", name, "--photos", str(photos)]
                with console.status(f"{name}, {way}"):
                    done = subprocess.run([*command, "--alone", way], stdout=subprocess.PIPE, check=True)
                rows.append(row(name, way, Held(**json.loads(done.stdout.splitlines()[-1]))))
    title = f"{model}, {photos} photos of random sizes; {processor()}"
    console.print(Table(title, HEADER, tuple(rows)).to_markdown())


if __name__ == "__main__":
    typer.run(main)
