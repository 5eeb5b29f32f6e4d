"""What keeping freed memory for the next photo is worth, and what it costs: seconds a photo, and memory held.

    python benchmarks/memory.py [--model random:coco-r50-3x] [--engine eager ...] [--photos 48]

Each engine runs in a process of its own for either way: freed memory is kept up to the limit
(``pointrend.system.memory``), or left to the C library. First come photos of one size, 1066x800, then as many of random
sizes. The ways are not interleaved, as one process cannot have both: repeat it on a quiet machine.
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
from pointrend.images.decode import decode
from pointrend.inference.loading import load
from pointrend.system.machine import processor
from pointrend.system.memory import MemoryLimit, told

KEPT, DEFAULT = "kept, up to the limit", "the C library's way"
HEADER = ("engine", "freed memory", "one size: seconds", "MiB", "random sizes: seconds", "MiB", "peak")
SIZE, SHORTEST, LONGEST = (800, 1066), 200, 1600  # pixels


@dataclass(frozen=True, slots=True)
class Held:
    """What a process did.

    Attributes:
        same_seconds, mixed_seconds: a photo's median, of one size and of random ones.
        same_mib, mixed_mib: memory after the last of them.
        peak_mib: the most ever.
    """

    same_seconds: float
    same_mib: int
    mixed_seconds: float
    mixed_mib: int
    peak_mib: int


def measure(folder: str, engine: str, way: str, photos: int) -> Held:
    """Predict in this process, which has done nothing yet."""
    segment = load(folder, engine=engine)
    memory = MemoryLimit() if way == KEPT else None
    photo = decode(picture(LONGEST, LONGEST))
    sizes = random.Random(0)

    def seconds(height: int, width: int) -> float:
        image = photo[:height, :width].copy()
        started = time.perf_counter()
        segment(image)
        if memory is not None:
            memory.settle()
        return time.perf_counter() - started

    seconds(*SIZE)
    same = [seconds(*SIZE) for _ in range(photos)]
    same_mib = told("VmRSS") or 0
    mixed = [seconds(sizes.randint(SHORTEST, LONGEST), sizes.randint(SHORTEST, LONGEST)) for _ in range(photos)]
    ends = told("VmRSS") or 0, told("VmHWM") or 0
    return Held(statistics.median(same), same_mib, statistics.median(mixed), *ends)


def row(engine: str, way: str, held: Held) -> tuple[str, ...]:
    """A line of the table."""
    same, mixed = f"{held.same_seconds:.2f}", f"{held.mixed_seconds:.2f}"
    return engine, way, same, str(held.same_mib), mixed, str(held.mixed_mib), str(held.peak_mib)


def main(
    model: Annotated[str, typer.Option(help="A model's name or folder.")] = "random:coco-r50-3x",
    engine: Annotated[list[str] | None, typer.Option(help="[default: eager and openvino-int8]")] = None,
    photos: Annotated[int, typer.Option(min=1, help="Of either kind.")] = 48,
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
            for way in (KEPT, DEFAULT):
                command = [sys.executable, __file__, "--model", folder, "--engine", name, "--photos", str(photos)]
                with console.status(f"{name}, {way}"):
                    done = subprocess.run([*command, "--alone", way], stdout=subprocess.PIPE, check=True)
                rows.append(row(name, way, Held(**json.loads(done.stdout.splitlines()[-1]))))
    title = f"{model}, {photos} photos of one size and {photos} of random ones; {processor()}"
    console.print(Table(title, HEADER, tuple(rows)).to_markdown())


if __name__ == "__main__":
    typer.run(main)
