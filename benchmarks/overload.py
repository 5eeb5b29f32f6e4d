"""Many more requests than the stack can answer, and what becomes of each of them.

    python -m benchmarks.overload [--requests 10000] [--times 8] [--json FILE] [--plot FILE]

First every request is answered alone, then the capacity is measured: answers a second with as many callers as keep the
model busy. Then requests are sent at ``--times`` that rate, whether or not earlier ones have been answered, by 64
callers of which one sends a quarter. Every 200 must equal the answer at rest, masks byte for byte; all else must be a
429 or 503 with ``Retry-After``; none may be lost: the exit status is 1 otherwise. Memory, descriptors and temporary
files are told before, at their highest, and after ``--settle`` seconds of rest.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.answers import SAME, Examiner, Tally, closed_loop, mixed_cases, new_client
from benchmarks.plots import plot
from benchmarks.stack import Stack, stack
from benchmarks.watch import FILES, JAVA, Watch

CALLERS, GREEDY_SHARE = 64, 0.25
BUSY = 3  # callers: one is computed for, one waits, one is on its way


@dataclass(frozen=True, slots=True)
class Result:
    """What an overload came to.

    Attributes:
        capacity: answers a second that the stack reached before.
        offered: requests a second that it was sent.
        tally: of those.
        heap_mib: Java's heap before, right after, and after the rest; None without jcmd.
        watch: of all processes.
    """

    capacity: float
    offered: float
    tally: Tally
    heap_mib: tuple[float | None, ...]
    watch: Watch


async def overload(running: Stack, *, requests: int, times: float, probe: float, settle: float, every: float) -> Result:
    """Measure the capacity for ``probe`` seconds, press the stack, and let it rest for ``settle`` seconds."""
    async with new_client(running) as client:
        examiner = Examiner(running, client, mixed_cases())
        await examiner.rest()
        watch = Watch(running.pid, running.folder, every)
        with watch.running():
            before = watch.heap_mib()
            reached = Tally()
            started = time.monotonic()
            await closed_loop(examiner, BUSY, probe, reached)
            capacity = reached.outcomes[SAME] / (time.monotonic() - started)
            tally = Tally()
            await _open_loop(examiner, requests, times * capacity, tally)
            after = watch.heap_mib()
            await asyncio.sleep(settle)
            rested = watch.heap_mib()
    return Result(capacity, times * capacity, tally, (before, after, rested), watch)


async def _open_loop(examiner: Examiner, requests: int, rate: float, tally: Tally) -> None:
    random = np.random.default_rng(0)
    started = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(requests):
            await asyncio.sleep(max(0.0, started + number / rate - time.monotonic()))
            case = examiner.cases[int(random.integers(len(examiner.cases)))]
            caller = 0 if random.random() < GREEDY_SHARE else int(random.integers(1, CALLERS))
            group.create_task(examiner.ask(case, caller, tally))


def holdings(result: Result) -> Table:
    """What each kind of process held: at first, at most, and at last."""
    table = Table("process", "MiB before", "at most", "after the rest", "descriptors", "at most", "after")
    for process in result.watch.processes():
        _, memory = result.watch.series(process, "rss_mib")
        _, descriptors = result.watch.series(process, "descriptors")
        figures = [f"{value:.0f}" for value in (memory[0], memory.max(), memory[-1])]
        table.add_row(
            process, *figures, *(f"{value:.0f}" for value in (descriptors[0], descriptors.max(), descriptors[-1]))
        )
    if None not in result.heap_mib:
        table.add_row(f"{JAVA}: heap", *(f"{value:.0f}" for value in result.heap_mib))
    _, files = result.watch.file_series()
    table.add_row(FILES, *(f"{value:.1f}" for value in (files[0], files.max(), files[-1])))
    return table


def main(
    model: Annotated[str, typer.Option(help="What to serve.")] = "demo",
    engine: Annotated[str, typer.Option(help="What computes its network.")] = "auto",
    requests: Annotated[int, typer.Option(min=1, help="How many to send.")] = 10_000,
    times: Annotated[float, typer.Option(min=0.1, help="The capacity, so many times.")] = 8.0,
    probe: Annotated[float, typer.Option(min=1, help="Seconds to measure the capacity.")] = 20.0,
    settle: Annotated[float, typer.Option(min=0, help="Seconds of rest at the end.")] = 60.0,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two samples.")] = 1.0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there too.")] = None,
    plot_file: Annotated[Path | None, typer.Option("--plot", help="Draw what was held over time.")] = None,
) -> None:
    """Measure and tell."""
    with stack(model, engine) as running:
        result = asyncio.run(overload(running, requests=requests, times=times, probe=probe, settle=settle, every=every))
    tally = result.tally
    console = Console(width=None if Console().is_terminal else 160)
    console.print(
        f"{model} with {engine} on {len(os.sched_getaffinity(0))} cores, through {running.through}: {tally.sent} "
        f"requests at {result.offered:.0f} a second, {times:g} times the capacity of "
        f"{result.capacity:.1f} answers a second.",
        tally.table(),
        holdings(result),
        *(f"Fault: {fault}" for fault in tally.faults),
        f"Each was answered as at rest or refused as documented: {'yes' if tally.is_clean else 'NO'}.",
        sep="\n",
    )
    if json_file is not None:
        tree = {"model": model, "engine": engine, "through": running.through, "capacity": result.capacity}
        tree |= {"offered": result.offered, "heap_mib": result.heap_mib, **tally.to_dict(), **result.watch.to_dict()}
        json_file.write_text(json.dumps(tree, indent=1) + "\n")
    if plot_file is not None:
        plot(result.watch, plot_file)
    raise typer.Exit(0 if tally.is_clean else 1)


if __name__ == "__main__":
    typer.run(main)
