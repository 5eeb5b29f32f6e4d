"""Seconds a photo beside busy processes, by how the threads wait for each other.

They spin as long as the load allows (``pointrend.system.spinning``), for as many turns whatever the load
(``pointrend.system.threads``), or as libgomp would let them.

    python -m benchmarks.contention [--model demo] [--engine eager ...] [--threads 2 ...] [--neighbours 4 ...]

Each engine, number of threads and way of waiting has a process of its own, which keeps its model. They take turns: in a
round each predicts :data:`BURST` times, the others asleep, beside so many processes that only count. The first of a
burst are left out: whoever slept is given the processor first, and threads follow the load from the next prediction on,
or from the fourth where it has gone. All rounds are interleaved, so that other load meets all
alike. Cells are medians with quartiles; "times alone" relates a row's median to the one without neighbours.

The neighbours are of this process's session: where Linux groups processes by session (``sched_autogroup_enabled``), one
in a session of its own would get as much as all others together, whatever the number of threads. Of two cores two
threads beside four neighbours get a third each, so that three times alone is a fair share.

It may be run in parts, ``--engine`` by ``--engine``, and ends after ``--seconds``, the round that runs included.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import product
from typing import Annotated, Self

import numpy as np
import typer
from PIL import Image
from rich.console import Console

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
HEADER = ("engine", "threads", "spinning", "neighbours", "photos", "ms", "quartiles", "times alone", "CPU ms")


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


class Worker:
    """A process with a model, which predicts when it is told to; a context manager.

    Args:
        model: a name or folder.
        setting: what it measures.
    """

    def __init__(self, model: str, setting: Setting) -> None:
        options = ["--model", model, "--engine", setting.engine, "--threads", str(setting.threads)]
        environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.contention", *options, "--alone"],
            env=environment | {SPIN_COUNT: SPINS[setting.spinning]},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
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
    model: str, settings: Sequence[Setting], neighbours: Sequence[int], seconds: float
) -> dict[tuple[Setting, int], list[Cost]]:
    """All settings in turns, beside each number of neighbours; at least one round."""
    costs: defaultdict[tuple[Setting, int], list[Cost]] = defaultdict(list)
    with ExitStack() as stack:
        workers = {setting: stack.enter_context(Worker(model, setting)) for setting in settings}
        started = time.monotonic()
        while not costs or time.monotonic() - started < seconds:
            for count in neighbours:
                with busy(count):
                    for setting, worker in workers.items():
                        costs[setting, count] += worker.predict(BURST)[LEFT_OUT:]
    return costs


def ways(engines: Sequence[str], threads: Sequence[int]) -> list[Setting]:
    """Each engine with each number of threads, waiting in each way; one thread waits for no other."""
    settings = (Setting(*each) for each in product(engines, threads, SPINS))
    return [setting for setting in settings if setting.threads > 1 or setting.spinning == FOLLOWING]


def rows(costs: dict[tuple[Setting, int], list[Cost]]) -> Iterator[tuple[str, ...]]:
    """The table's lines, by setting and neighbours."""
    alone = {setting: _median(each) for (setting, count), each in costs.items() if count == 0}
    for (setting, count), each in sorted(costs.items(), key=lambda item: (item[0][0].engine, item[0][0].threads)):
        low, _, high = statistics.quantiles((cost.wall * 1000 for cost in each), n=4)
        times = f"{_median(each) / alone[setting]:.1f}" if setting in alone else ""
        cpu = statistics.median(cost.cpu for cost in each) * 1000
        yield (
            *(setting.engine, str(setting.threads), setting.spinning, str(count), str(len(each))),
            *(f"{_median(each) * 1000:.0f}", f"{low:.0f} to {high:.0f}", times, f"{cpu:.0f}"),
        )


def _median(costs: Sequence[Cost]) -> float:
    return statistics.median(cost.wall for cost in costs)


def main(
    model: Annotated[str, typer.Option(help="A model's name or folder.")] = "demo",
    engine: Annotated[list[str] | None, typer.Option(help="[default: eager, openvino, openvino-int8 and bf16]")] = None,
    threads: Annotated[list[int] | None, typer.Option(min=1, help="[default: 1 and 2]")] = None,
    neighbours: Annotated[list[int] | None, typer.Option(min=0, help="[default: 0, 2 and 4]")] = None,
    seconds: Annotated[float, typer.Option(min=0, help="How long to take turns.")] = 240.0,
    alone: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Measure and tell."""
    engines = engine or [EAGER, OPENVINO, OPENVINO_INT8, BF16]
    if alone:  # a worker, which its parent has started
        work(model, engines[0], (threads or [1])[0])
        return
    costs = measure(model, ways(engines, threads or [1, 2]), neighbours or [0, 2, 4], seconds)
    title = f"{model}, {SIDE}x{SIDE}, {len(os.sched_getaffinity(0))} cores; {processor()}"
    Console(width=160).print(Table(title, HEADER, tuple(rows(costs))).to_markdown())


if __name__ == "__main__":
    typer.run(main)
