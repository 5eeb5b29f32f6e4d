"""Seconds a photo beside busy processes, by how the threads wait for each other.

They spin as long as the load allows (``pointrend.system.spinning``), for as many turns whatever the load
(``pointrend.system.threads``), or as libgomp would let them.

    python -m benchmarks.contention [--model demo] [--engine eager ...] [--threads 2 ...] [--neighbours 4 ...]

Each engine, number of threads and way of waiting has a process of its own, which keeps its model. They take turns: in a
round each predicts :data:`BURST` times, the others asleep, beside so many processes that only count. The first of a
burst are left out: whoever slept is given the processor first, and threads follow the load from the next prediction on,
or from the fourth where it has gone. All rounds are interleaved, so that other load meets all
alike. Cells are medians with quartiles; "times alone" relates a row's median to the one without neighbours, with an
interval of 95 % from :data:`RESAMPLES` draws of the rounds with replacement.

The neighbours are of this process's session: where Linux groups processes by session (``sched_autogroup_enabled``), one
in a session of its own would get as much as all others together, whatever the number of threads. Of two cores two
threads beside four neighbours get a third each, so that three times alone is a fair share.

It ends after ``--seconds``, once the round that runs is complete. With ``--results FILE`` the file's rounds count too,
and those that were run are added to it, so that a long measurement may be run in pieces, an ``--engine`` at a time.

``--quota CORES`` limits each process as a container's ``--cpus`` does, by a control group of the first version.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import astuple, dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Self

import numpy as np
import typer
from PIL import Image
from rich.console import Console

from benchmarks.cpu_quota import Group
from benchmarks.cpu_quota import quota as cpu_quota
from gradio_app.examples import EXAMPLES
from pointrend.engines import BF16, EAGER, OPENVINO, OPENVINO_INT8
from pointrend.evaluation.tables import Table
from pointrend.inference.loading import load
from pointrend.system.machine import processor
from pointrend.system.memory import MemoryLimit
from pointrend.system.threads import SPIN_COUNT, TURNS, TURNS_WHILE_FREE

FOLLOWING, FIXED, DEFAULT = "following the load", "fixed", "libgomp's"
# Turns; with others than the first the package does not follow. The last one is as OMP_DISPLAY_ENV=verbose tells it.
SPINS = {FOLLOWING: str(TURNS_WHILE_FREE), FIXED: str(TURNS), DEFAULT: "300000"}
SIDE = 512  # pixels
WARM_UP, BURST, LEFT_OUT = 4, 8, 4
SETTLE_SECONDS = 0.3  # until the neighbours count
RESAMPLES = 1000
HEADER = ("engine", "threads", "spinning", "neighbours", "photos", "ms", "quartiles", "times alone", "95 %", "CPU ms")


@dataclass(frozen=True, slots=True)
class Setting:
    """What a process measures: an engine, its threads, and how they wait, a key of :data:`SPINS`."""

    engine: str
    threads: int
    spinning: str


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one photo: seconds of the clock, and of the processor, all threads together."""

    wall: float
    cpu: float


Rounds = dict[tuple[Setting, int], list[list[Cost]]]
"""Of each setting beside so many neighbours: the costs of each round."""


class Worker:
    """A process with a model, which predicts when it is told to; a context manager.

    Args:
        model: a name or folder.
        setting: what it measures.
        group: whose quota limits it.
    """

    def __init__(self, model: str, setting: Setting, group: Group | None = None) -> None:
        options = ["--model", model, "--engine", setting.engine, "--threads", str(setting.threads)]
        environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.contention", *options, "--alone"],
            env=environment | {SPIN_COUNT: SPINS[setting.spinning]},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if group is not None:  # long before it has read how many cores it may use
            group.add(self._process.pid)
        self.predict(WARM_UP)

    def predict(self, photos: int) -> list[Cost]:
        """Predict so often, one after the other."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{photos}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"A worker ended with status {self._process.wait()}; its message stands above.")
        return [Cost(*each) for each in json.loads(line)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()  # the end of its input


def work(model: str, engine: str, threads: int) -> None:
    """What a worker does: for each number on its input, so many predictions, and a line with what they cost."""
    segment = load(model, threads=threads, engine=engine)
    MemoryLimit()  # as in every process of ours that predicts
    image = np.asarray(Image.open(EXAMPLES[0].path).convert("RGB").resize((SIDE, SIDE)))
    for line in sys.stdin:
        costs = []
        for _ in range(int(line)):
            wall, cpu = time.perf_counter(), time.process_time()
            segment(image)
            costs.append((time.perf_counter() - wall, time.process_time() - cpu))
        print(json.dumps(costs), flush=True)


@contextmanager
def busy(neighbours: int) -> Iterator[None]:
    """So many processes that count, in this session."""
    running = [subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) for _ in range(neighbours)]
    try:
        time.sleep(SETTLE_SECONDS)
        yield
    finally:
        for each in running:
            each.kill()
            each.wait()


def measure(
    model: str, settings: Sequence[Setting], neighbours: Sequence[int], seconds: float, cores: float | None = None
) -> Rounds:
    """All settings in turns, beside each number of neighbours; at least one round.

    Args:
        model: a name or folder.
        settings: each in a process of its own.
        neighbours: numbers of busy processes.
        seconds: after which no round begins.
        cores: whose time each process may use; None for all there are.
    """
    rounds: defaultdict[tuple[Setting, int], list[list[Cost]]] = defaultdict(list)
    with ExitStack() as stack:
        group = None if cores is None else stack.enter_context(cpu_quota(cores))
        workers = {setting: stack.enter_context(Worker(model, setting, group)) for setting in settings}
        started = time.monotonic()
        while not rounds or time.monotonic() - started < seconds:
            for count in neighbours:
                with busy(count):
                    for setting, worker in workers.items():
                        rounds[setting, count].append(worker.predict(BURST)[LEFT_OUT:])
    return rounds


def merge(file: Path, rounds: Rounds) -> Rounds:
    """Add rounds to a file's, which may be missing, and return all."""
    entries = json.loads(file.read_text()) if file.exists() else []
    entries += [
        [*astuple(setting), count, [[astuple(cost) for cost in each] for each in all_]]
        for (setting, count), all_ in rounds.items()
    ]
    file.write_text(json.dumps(entries))
    merged: defaultdict[tuple[Setting, int], list[list[Cost]]] = defaultdict(list)
    for engine, threads, spinning, count, all_ in entries:
        merged[Setting(engine, threads, spinning), count] += [[Cost(*cost) for cost in each] for each in all_]
    return merged


def ways(engines: Sequence[str], threads: Sequence[int]) -> list[Setting]:
    """Each engine with each number of threads, waiting in each way; one thread waits for no other."""
    settings = (Setting(*each) for each in product(engines, threads, SPINS))
    return [setting for setting in settings if setting.threads > 1 or setting.spinning == FOLLOWING]


def rows(rounds: Rounds) -> Iterator[tuple[str, ...]]:
    """The table's lines, by setting and neighbours."""
    for (setting, count), own in sorted(rounds.items(), key=lambda item: (item[0][0].engine, item[0][0].threads)):
        costs = [cost for each in own for cost in each]
        low, _, high = statistics.quantiles((cost.wall * 1000 for cost in costs), n=4)
        alone = rounds.get((setting, 0))
        times, interval = (
            (f"{_median(own) / _median(alone):.1f}", _interval(own, alone)) if alone and count else ("", "")
        )
        cpu = statistics.median(cost.cpu for cost in costs) * 1000
        yield (
            *(setting.engine, str(setting.threads), setting.spinning, str(count), str(len(costs))),
            *(f"{_median(own) * 1000:.0f}", f"{low:.0f} to {high:.0f}", times, interval, f"{cpu:.0f}"),
        )


def _median(rounds: Sequence[Sequence[Cost]]) -> float:
    return statistics.median(cost.wall for each in rounds for cost in each)


def _interval(rounds: Sequence[Sequence[Cost]], alone: Sequence[Sequence[Cost]]) -> str:
    """Of the quotient of both medians; a round's photos, which had the same neighbours, stay together."""
    draw = random.Random(0)  # the same table of the same rounds
    quotients = sorted(
        _median(draw.choices(rounds, k=len(rounds))) / _median(draw.choices(alone, k=len(alone)))
        for _ in range(RESAMPLES)
    )
    return f"{quotients[RESAMPLES // 40]:.1f} to {quotients[-RESAMPLES // 40 - 1]:.1f}"


def main(
    model: Annotated[str, typer.Option(help="A model's name or folder.")] = "demo",
    engine: Annotated[list[str] | None, typer.Option(help="[default: eager, openvino, openvino-int8 and bf16]")] = None,
    threads: Annotated[list[int] | None, typer.Option(min=1, help="[default: 1 and 2]")] = None,
    neighbours: Annotated[list[int] | None, typer.Option(min=0, help="[default: 0, 2 and 4]")] = None,
    spinning: Annotated[
        list[str] | None, typer.Option(help="[default: following the load, fixed and libgomp's]")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0, help="How long to take turns.")] = 240.0,
    quota: Annotated[float | None, typer.Option(min=0.01, help="Cores' time that each process may use.")] = None,
    results: Annotated[Path | None, typer.Option(help="Rounds that count too, and to which these are added.")] = None,
    alone: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Measure and tell."""
    engines = engine or [EAGER, OPENVINO, OPENVINO_INT8, BF16]
    if alone:  # a worker, which its parent has started
        work(model, engines[0], (threads or [1])[0])
        return
    settings = [each for each in ways(engines, threads or [1, 2]) if each.spinning in (spinning or SPINS)]
    rounds = measure(model, settings, neighbours or [0, 2, 4], seconds, quota)
    if results is not None:
        rounds = merge(results, rounds)
    cores = f"{len(os.sched_getaffinity(0))} cores" + ("" if quota is None else f", the time of {quota:g}")
    title = f"{model}, {SIDE}x{SIDE}, {cores}; {processor()}"
    Console(width=180).print(Table(title, HEADER, tuple(rows(rounds))).to_markdown())


if __name__ == "__main__":
    typer.run(main)
