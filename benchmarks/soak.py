"""The stack under steady work for a long time: whether what it holds grows.

    python -m benchmarks.soak [--seconds 600] [--clients 4] [--json FILE] [--plot FILE]

Callers each send an image of a random size as soon as their last one is answered. Every 200 must equal the answer at
rest, everything else must be a documented refusal, none may be lost: the exit status is 1 otherwise. Told are, for each
kind of process, what it held after the warm-up, at most and at last, and a least-squares line through it with its 95 %
interval: whether a slope is a leak is for the reader to judge, over a run that is long enough.
"""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.answers import SAME, Examiner, Tally, closed_loop, new_client, sized_cases
from benchmarks.plots import plot
from benchmarks.stack import Stack, stack
from benchmarks.watch import FILES, Trend, Watch

UNITS = {"rss_mib": "MiB", "descriptors": "descriptors", "threads": "threads", "mib": "MiB"}


@dataclass(frozen=True, slots=True)
class Result:
    """What a soak came to."""

    tally: Tally
    watch: Watch
    trends: dict[str, dict[str, Trend]]


async def soak(running: Stack, *, seconds: float, clients: int, sizes: int, warm_up: float, every: float) -> Result:
    """Ask for ``seconds`` seconds; the first ``warm_up`` of them do not count for the trends."""
    async with new_client(running) as client:
        examiner = Examiner(running, client, sized_cases(sizes))
        await examiner.rest()
        tally = Tally()
        with Watch(running.pid, running.folder, every).running() as watch:
            await closed_loop(examiner, clients, seconds, tally)
    return Result(tally, watch, watch.trends(warm_up))


def verdict(result: Result, warm_up: float) -> Table:
    """What was held, and the slope of it."""
    table = Table("process", "of", "after warm-up", "at most", "at last", "slope an hour", "95 % interval")
    for process, trends in result.trends.items():
        for what, trend in trends.items():
            seconds, values = result.watch.file_series() if process == FILES else result.watch.series(process, what)
            values = values[seconds >= warm_up]
            figures = [f"{value:.0f}" for value in (values[0], values.max(), values[-1])]
            slope = f"{trend.an_hour:+.1f}", f"{trend.low:+.1f} to {trend.high:+.1f}"
            table.add_row(process, UNITS[what], *figures, *slope)
    return table


def main(
    model: Annotated[str, typer.Option(help="What to serve.")] = "demo",
    engine: Annotated[str, typer.Option(help="What computes its network.")] = "auto",
    seconds: Annotated[float, typer.Option(min=1, help="How long to ask.")] = 600.0,
    clients: Annotated[int, typer.Option(min=1, help="Callers at a time.")] = 4,
    sizes: Annotated[int, typer.Option(min=1, help="How many different images.")] = 40,
    warm_up: Annotated[float | None, typer.Option(help="Seconds that do not count. [default: a quarter]")] = None,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two samples.")] = 2.0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there too.")] = None,
    plot_file: Annotated[Path | None, typer.Option("--plot", help="Draw what was held over time.")] = None,
) -> None:
    """Measure and tell."""
    skipped = seconds / 4 if warm_up is None else warm_up
    with stack(model, engine) as running:
        result = asyncio.run(soak(running, seconds=seconds, clients=clients, sizes=sizes, warm_up=skipped, every=every))
    tally = result.tally
    console = Console(width=None if Console().is_terminal else 160)
    console.print(
        f"{model} with {engine} on {len(os.sched_getaffinity(0))} cores, through {running.through}: {clients} callers "
        f"for {seconds:g} s, {sizes} images of random sizes, {tally.outcomes[SAME] / seconds:.1f} answers a second.",
        tally.table(),
        verdict(result, skipped),
        *(f"Left in the temporary folder: {file.part}, {file.mib:.1f} MiB" for file in result.watch.last_files()[:8]),
        *(f"Fault: {fault}" for fault in tally.faults),
        f"Each was answered as at rest or refused as documented: {'yes' if tally.is_clean else 'NO'}.",
        sep="\n",
    )
    if json_file is not None:
        trends = {
            process: {what: asdict(trend) for what, trend in each.items()} for process, each in result.trends.items()
        }
        tree = {"model": model, "engine": engine, "through": running.through, "trends": trends}
        json_file.write_text(json.dumps(tree | tally.to_dict() | result.watch.to_dict(), indent=1) + "\n")
    if plot_file is not None:
        plot(result.watch, plot_file)
    raise typer.Exit(0 if tally.is_clean else 1)


if __name__ == "__main__":
    typer.run(main)
