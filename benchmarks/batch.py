"""Photos a second of ``pointrend batch`` with one worker and with two, in turns, on a Ray of this machine.

    python benchmarks/batch.py [--photos 96] [--rounds 3] [--model demo] [--engine eager] [--json FILE]

A worker has one processor core. The rate is that of the whole run once the first shard is there: what starting Ray and
loading the model cost is told beside it, since a long batch pays that once.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import ray
import typer
from rich.console import Console
from rich.table import Table

from gradio_app.examples import EXAMPLES
from pointrend.batch.plan import Plan
from pointrend.batch.run import batch_config, run

WORKERS = 1, 2
SHARD = 4


@dataclass(frozen=True, slots=True)
class Round:
    """One run.

    Attributes:
        workers: processes with a model each.
        start_seconds: until the first shard was there.
        photos_a_second: of the photos after it.
    """

    workers: int
    start_seconds: float
    photos_a_second: float


def measure(photos: Path, out: Path, model: str, engine: str, workers: int) -> Round:
    """Do the whole batch once, with a Ray that has as many cores as workers."""
    plan = Plan.open(
        batch_config(str(photos), model=model, engine=engine, options={}, form="parquet", shard_size=SHARD), str(out)
    )
    ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False, object_store_memory=200 * 2**20)
    try:
        began = time.time()
        run(plan, workers, 1)
    finally:
        ray.shutdown()
    there = sorted(part.stat().st_mtime for part in out.glob("part-*.parquet"))
    return Round(workers, there[0] - began, SHARD * (len(there) - 1) / (there[-1] - there[0]))


def main(
    photos: Annotated[int, typer.Option(min=4 * SHARD, help="Photos a run.")] = 96,
    rounds: Annotated[int, typer.Option(min=1, help="Runs with each number of workers.")] = 3,
    model: Annotated[str, typer.Option(help="As for `pointrend up --model`.")] = "demo",
    engine: Annotated[str, typer.Option(help="As for `pointrend up --engine`.")] = "eager",
    report: Annotated[Path | None, typer.Option("--json", help="Also write the figures here.")] = None,
) -> None:
    """Measure, and print a table."""
    console = Console()
    results: list[Round] = []
    with tempfile.TemporaryDirectory(prefix="pointrend-batch-") as name:
        folder = Path(name) / "photos"
        folder.mkdir()
        sources = [Path(example.path) for example in EXAMPLES[:4]]
        for index in range(photos):
            source = sources[index % len(sources)]
            shutil.copy(source, folder / f"{index:05d}{source.suffix}")
        size = sum(file.stat().st_size for file in folder.iterdir()) / photos
        for number in range(rounds):
            for workers in WORKERS:
                results.append(measure(folder, Path(name) / f"out-{number}-{workers}", model, engine, workers))
                shutil.rmtree(Path(name) / f"out-{number}-{workers}")
    table = Table(
        title=f"{model}, {engine}: {photos} photos of {size / 1000:.0f} KB, shards of {SHARD}, medians of {rounds} runs"
    )
    for title in ("workers", "photos a second", "least", "most", "first shard after"):
        table.add_column(title, justify="right")
    for workers in WORKERS:
        rates = [item.photos_a_second for item in results if item.workers == workers]
        starts = [item.start_seconds for item in results if item.workers == workers]
        middle = statistics.median(rates)
        row = f"{middle:.2f}", f"{min(rates):.2f}", f"{max(rates):.2f}", f"{statistics.median(starts):.1f} s"
        table.add_row(str(workers), *row)
    console.print(table)
    console.print(f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}")
    if report is not None:
        report.write_text(json.dumps({"bytes_a_photo": size, "rounds": [asdict(item) for item in results]}, indent=2))


if __name__ == "__main__":
    typer.run(main)
