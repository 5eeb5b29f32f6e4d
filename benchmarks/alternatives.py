"""This project beside what people would pick instead: programs that segment one photo after another.

    python benchmarks/alternatives.py [--photo FILE] [--ours MODEL=ENGINE ...] [--other NAME=COMMAND ...]

Every program is a process of its own, in whatever environment its command names, so that nothing of the others is
imported here. It reads lines ``{"photo": path, "objects": n, "exact": false}`` and answers each with ``{"objects":
found, "bytes": length}`` once it has decoded the JPEG, segmented it and written the n best objects with their masks;
see `answering.py`, which does it for ours. All are started first and then take turns on the same photo, round by round,
so that whatever else the machine does falls on all of them: compare rows of one table, not two runs. With ``--exact``
all of PointRend's steps are computed for every mask, as detectron2 does it.

Seconds are from the request to the answer, CPU seconds of the process and its children, memory its largest resident
set, "first answer" from the start of the process, imports and loading included.
"""

from __future__ import annotations

import json
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import psutil
import typer
from rich.console import Console

from pointrend.bench.subjects import picture
from pointrend.evaluation.tables import Table
from pointrend.system.machine import processor

HERE = Path(__file__).parent
HEADER = ("program", "objects", "seconds", "quartiles", "CPU s", "MiB", "answer, KB", "first answer, s")


@dataclass(slots=True)
class Figures:
    """Of one program and one number of objects: a second each for every round, and the length of the answer."""

    found: int = 0
    answer: int = 0
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    mib: int = 0


class Program:
    """A running program that answers; a context manager that ends it.

    Args:
        name: what the table calls it.
        command: what starts it.

    Raises:
        RuntimeError: it ended instead of answering.
    """

    def __init__(self, name: str, command: list[str]) -> None:
        self.name = name
        self._started = time.perf_counter()
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self._watched = psutil.Process(self._process.pid)
        self.first: float | None = None

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_error: object) -> None:
        with self._process:
            self._process.terminate()

    def answer(self, photo: Path, objects: int, figures: Figures | None, *, exact: bool) -> None:
        """Ask once; without ``figures`` only to warm up."""
        assert self._process.stdin is not None  # both were asked for
        assert self._process.stdout is not None
        before, started = self._cpu(), time.perf_counter()
        self._process.stdin.write(json.dumps({"photo": str(photo), "objects": objects, "exact": exact}) + "\n")
        line = self._process.stdout.readline()
        ended = time.perf_counter()
        if not line:
            raise RuntimeError(f"{self.name} ended with status {self._process.wait()} instead of answering.")
        self.first = self.first or ended - self._started
        if figures is None:
            return
        told = json.loads(line)
        figures.found, figures.answer = told["objects"], told["bytes"]
        figures.seconds.append(ended - started)
        figures.cpu.append(self._cpu() - before)
        figures.mib = self._peak()

    def _cpu(self) -> float:
        times = [each.cpu_times() for each in (self._watched, *self._watched.children(recursive=True))]
        return sum(each.user + each.system for each in times)

    def _peak(self) -> int:
        """The largest resident set so far, in MiB."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) // 1024


def compare(
    commands: dict[str, list[str]], photo: Path, objects: list[int], rounds: int, *, exact: bool
) -> list[tuple[str, ...]]:
    """Rows of :data:`HEADER`, a program's numbers of objects one below the other."""
    figures: dict[tuple[str, int], Figures] = {}
    with ExitStack() as running:
        programs = []
        for name, command in commands.items():
            programs.append(running.enter_context(Program(name, command)))
            programs[-1].answer(
                photo, objects[0], None, exact=exact
            )  # one starts after the other: a start is timed too
        for count in objects:
            for turn in range(rounds + 1):
                for program in programs:
                    kept = figures.setdefault((program.name, count), Figures())
                    program.answer(photo, count, kept if turn else None, exact=exact)
        return [row(program, figures[program.name, count]) for program in programs for count in objects]


def row(program: Program, figures: Figures) -> tuple[str, ...]:
    """One line of the table."""
    lower, median, upper = statistics.quantiles(figures.seconds, n=4)
    return (
        program.name,
        str(figures.found),
        f"{median:.3f}",
        f"{lower:.3f} to {upper:.3f}",
        f"{statistics.median(figures.cpu):.2f}",
        str(figures.mib),
        f"{figures.answer / 1000:.1f}",
        f"{program.first:.1f}",
    )


def named(values: list[str], option: str) -> list[tuple[str, str]]:
    """``NAME=VALUE`` each, split.

    Raises:
        typer.BadParameter: one has no ``=``.
    """
    for value in values:
        if "=" not in value:
            raise typer.BadParameter(f"{value!r} is not NAME=VALUE.", param_hint=option)
    return [(value.partition("=")[0], value.partition("=")[2]) for value in values]


def main(
    photo: Annotated[Path | None, typer.Option(help="A JPEG. [default: a drawn one of 640 x 480]")] = None,
    ours: Annotated[list[str] | None, typer.Option(help="MODEL=ENGINE. [default: demo=auto]")] = None,
    other: Annotated[list[str] | None, typer.Option(help="NAME=COMMAND.")] = None,
    objects: Annotated[list[int] | None, typer.Option(min=1, max=100, help="[default: 1 and 100]")] = None,
    rounds: Annotated[int, typer.Option(min=2)] = 9,
    exact: Annotated[bool, typer.Option("--exact", help="Compute all steps of every mask.")] = False,
) -> None:
    """Time them in turns."""
    console = Console(width=None if Console().is_terminal else 160)
    commands = {
        f"{model}, {engine}": [sys.executable, str(HERE / "answering.py"), model, engine]
        for model, engine in named(ours or ["demo=auto"], "--ours")
    }
    commands |= {name: shlex.split(command) for name, command in named(other or [], "--other")}
    with tempfile.TemporaryDirectory() as folder:
        drawn = Path(folder) / "drawn.jpg"
        drawn.write_bytes(picture(480, 640))
        rows = compare(commands, photo or drawn, objects or [1, 100], rounds, exact=exact)
    title = f"In turns on one photo, {rounds} rounds, medians; {processor()}"
    console.print(Table(title, HEADER, tuple(rows)).to_markdown())


if __name__ == "__main__":
    typer.run(main)
