"""Through the server: a real TorchServe with a model, asked by 1, 2, 4, 8 and 16 clients at a time.

    python benchmarks/server.py [--model demo] [--engine eager] [--workers 1 ...] [--requests 60] [--seconds 0]

Every client sends the same photo again as soon as it has its answer. Told are the median and the 95th percentile of
the answers' times, answers a second, and what is left of a lone client's median beside the time that the handler itself
says it took (the Server-Timing header): that is the server's overhead, on the network, in TorchServe's queue and
between its processes. With several clients the same difference is mostly waiting for each other, so it is no overhead.

Each number of workers has a server of its own, whose workers share the cores; they take turns within every round, so
that other load meets all alike. ``--batch`` lets a worker take several requests at a time. Memory is what the workers
hold together, pages that they share counted once (PSS), beside the sum of what each holds (RSS).

The aims, for one worker: an overhead of at most 5 ms, and less than 1.5 GB. The exit status is 1 where one is missed.
``--json FILE`` and ``--markdown FILE`` write the figures there too.
"""

from __future__ import annotations

import io
import json
import re
import signal
import tempfile
import time
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Annotated

import httpx
import numpy as np
import psutil
import typer
import yaml
from PIL import Image
from rich.console import Console
from rich.table import Table

from gradio_app.examples import EXAMPLES
from pointrend.serving.archive import MODEL_CONFIG, build
from pointrend.serving.torchserve import Ports, TorchServe
from pointrend.serving.workers import choose
from pointrend.system.machine import usable_cores
from pointrend.system.processes import free_ports
from pointrend.weights.folder import ModelFolder

CONCURRENCIES = (1, 2, 4, 8, 16)  # as many as the server's queue holds
WARM_UP = 300  # Java compiles what is asked often
AIM_OVERHEAD_MS, AIM_WORKER_GB = 5.0, 1.5
BATCH_DELAY_MS = 5  # how long a worker waits for more
WORKER = "model_service_worker.py"  # in a worker's command line
TIMEOUT = 300.0
HEADER = ("workers", "batch", "clients", "p50, ms", "p95, ms", "answers a second", "p50 beyond the handler, ms")


@dataclass(frozen=True, slots=True)
class Answer:
    """Milliseconds of an answer, and of the handler therein."""

    took: float
    handler: float


@dataclass(frozen=True, slots=True)
class Run:
    """All answers to some clients, and the seconds in which they came."""

    answers: Sequence[Answer]
    seconds: float


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured with so many clients at a time.

    Attributes:
        workers, batch: of the server; requests that a worker takes at a time.
        p50_ms, p95_ms: from sending to the whole answer, of all rounds.
        answers_a_second: of all clients together, the median of the rounds.
        beyond_ms: the median of what the handler's own time leaves of an answer's.
    """

    workers: int
    batch: int
    clients: int
    p50_ms: float
    p95_ms: float
    answers_a_second: float
    beyond_ms: float

    @classmethod
    def of(cls, subject: Subject, clients: int, runs: Sequence[Run]) -> Figures:
        """Those of several rounds with the same number of clients."""
        answers = [answer for run in runs for answer in run.answers]
        p50, p95 = np.percentile([answer.took for answer in answers], (50, 95))
        rate = np.median([len(run.answers) / run.seconds for run in runs])
        beyond = np.median([answer.took - answer.handler for answer in answers])
        return cls(subject.workers, subject.batch, clients, float(p50), float(p95), float(rate), float(beyond))


@dataclass(frozen=True, slots=True)
class Subject:
    """What a server is measured with: so many workers, each taking so many requests at a time."""

    workers: int
    batch: int

    def __str__(self) -> str:
        return f"{self.workers} worker{'s' * (self.workers > 1)}" + (f", batches of {self.batch}" * (self.batch > 1))


def photo(side: int) -> bytes:
    """A JPEG of an example photo, its shorter edge ``side`` pixels."""
    picture = Image.open(EXAMPLES[0].path).convert("RGB")
    scale = side / min(picture.size)
    file = io.BytesIO()
    picture.resize((round(picture.width * scale), round(picture.height * scale))).save(file, "JPEG", quality=90)
    return file.getvalue()


def handler_milliseconds(header: str) -> float:
    """The sum of the durations in a Server-Timing header.

    Raises:
        ValueError: it has none.
    """
    durations = re.findall(r"dur=([0-9.]+)", header)
    if not durations:
        raise ValueError(f"The Server-Timing header {header!r} has no durations.")
    return sum(map(float, durations))


def measure(url: str, body: bytes, clients: int, requests: int) -> Run:
    """Ask the server at ``url`` ``requests`` times with ``clients`` at a time.

    Raises:
        httpx.HTTPStatusError: it refused.
    """
    with httpx.Client(timeout=TIMEOUT, limits=httpx.Limits(max_connections=clients), trust_env=False) as client:

        def ask(_: int) -> Answer:
            started = time.perf_counter()
            response = client.post(f"{url}/predictions/pointrend", content=body)
            took = (time.perf_counter() - started) * 1000
            response.raise_for_status()
            return Answer(took, handler_milliseconds(response.headers["Server-Timing"]))

        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(ask, range(clients)))  # connections are opened
            started = time.perf_counter()
            answers = list(pool.map(ask, range(requests)))
            return Run(answers, time.perf_counter() - started)


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of a server's workers: of the largest, of all, and of all with shared pages counted once."""

    largest: int
    resident: int
    proportional: int

    @classmethod
    def of(cls, server_pid: int) -> Memory:
        """Those of the workers below a process.

        Raises:
            ValueError: it has none.
        """
        each = [worker.memory_full_info() for worker in workers_of(server_pid)]
        if not each:
            raise ValueError(f"The server with process {server_pid} has no worker.")
        resident = [int(one.rss) for one in each]
        return cls(max(resident), sum(resident), sum(int(one.pss) for one in each))


def workers_of(server_pid: int) -> list[psutil.Process]:
    """The workers that run below a process."""
    return [child for child in psutil.Process(server_pid).children(recursive=True) if _works(child)]


def _works(process: psutil.Process) -> bool:
    try:
        return any(part.endswith(WORKER) for part in process.cmdline())
    except psutil.Error:  # ended meanwhile
        return False


def markdown(figures: Sequence[Figures], told: str) -> str:
    """A table and a sentence."""
    rule = ["---:"] * len(HEADER)
    rows = [HEADER, rule, *map(cells, figures)]
    return "\n".join([*(f"| {' | '.join(row)} |" for row in rows), "", told, ""])


def cells(figures: Figures) -> tuple[str, ...]:
    """A row of text under :data:`HEADER`."""
    times = (f"{figures.p50_ms:.0f}", f"{figures.p95_ms:.0f}", f"{figures.answers_a_second:.2f}")
    what = (str(figures.workers), str(figures.batch), str(figures.clients))
    return (*what, *times, f"{figures.beyond_ms:.1f}")


@contextmanager
def serving(model: str, engine: str, subject: Subject) -> Iterator[TorchServe]:
    """A server whose workers have all come up, and share the cores."""
    with tempfile.TemporaryDirectory(prefix="pointrend-server-") as store:
        archive = build(ModelFolder.open(model), Path(store), engine=engine)
        if subject.batch > 1:
            _set_batch(archive, subject.batch)
        workers = choose(subject.workers)
        with TorchServe(Path(store), Ports(*free_ports(6)), workers=workers) as server:
            server.wait_ready()
            deadline = time.monotonic() + TIMEOUT
            while server.workers_ready() < subject.workers:
                if time.monotonic() > deadline:
                    raise SystemExit(f"Of {subject}, {server.workers_ready()} came up within {TIMEOUT:.0f} s.")
                time.sleep(0.2)
            yield server


def _set_batch(archive: Path, size: int) -> None:
    with zipfile.ZipFile(archive) as file:
        members = {name: file.read(name) for name in file.namelist()}
    config = yaml.safe_load(members[MODEL_CONFIG]) | {"batchSize": size, "maxBatchDelay": BATCH_DELAY_MS}
    members[MODEL_CONFIG] = yaml.safe_dump(config).encode()
    with zipfile.ZipFile(archive, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)


def main(
    model: Annotated[str, typer.Option(help="What to serve.")] = "demo",
    engine: Annotated[str, typer.Option(help="What computes its network.")] = "eager",
    side: Annotated[int, typer.Option(min=32, max=4000, help="The photo's shorter edge.")] = 480,
    concurrency: Annotated[list[int] | None, typer.Option(min=1, max=16, help="Clients at a time.")] = None,
    requests: Annotated[int, typer.Option(min=1, help="At each concurrency.")] = 60,
    seconds: Annotated[float, typer.Option(min=0, help="How long rounds are repeated; one at least.")] = 0.0,
    workers: Annotated[list[int] | None, typer.Option(min=1, help="Of a server; may be repeated.")] = None,
    batch: Annotated[list[int] | None, typer.Option(min=1, help="Requests a worker takes; may be repeated.")] = None,
    warm_up: Annotated[int, typer.Option(min=1, help="Requests before anything is measured.")] = WARM_UP,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there too.")] = None,
    markdown_file: Annotated[Path | None, typer.Option("--markdown", help="Write the table there too.")] = None,
) -> None:
    """Measure and tell."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C does, so that no server is left behind
    body = photo(side)
    crowds = concurrency or CONCURRENCIES
    subjects = [Subject(*each) for each in product(workers or (1,), batch or (1,))]
    runs: defaultdict[tuple[int, Subject], list[Run]] = defaultdict(list)
    with ExitStack() as stack:
        servers = {each: stack.enter_context(serving(model, engine, each)) for each in subjects}
        for each, server in servers.items():
            measure(server.url, body, each.workers, warm_up)
        started, rounds = time.monotonic(), 0
        while rounds == 0 or time.monotonic() - started < seconds:
            for clients, (each, server) in product(crowds, servers.items()):
                runs[clients, each].append(measure(server.url, body, clients, requests))
            rounds += 1
        memory = {each: Memory.of(server.pid) for each, server in servers.items()}
    figures = [Figures.of(each, clients, found) for (clients, each), found in runs.items()]
    single = [each for each in figures if each.workers == each.batch == each.clients == 1]
    largest = max(each.largest for each in memory.values()) / 1e9
    met = all(each.beyond_ms <= AIM_OVERHEAD_MS for each in single) and largest < AIM_WORKER_GB
    lines = [
        f"{model} with {engine} on {usable_cores()} cores, {requests} requests each in each of {rounds} rounds, a "
        f"photo of {side} px ({len(body) / 1000:.0f} KB).",
        *(
            f"{each}: together {used.resident / 1e9:.2f} GB (RSS), {used.proportional / 1e9:.2f} GB with what they "
            f"share counted once (PSS)."
            for each, used in memory.items()
        ),
        *(f"Overhead: {each.beyond_ms:.1f} ms (aim: {AIM_OVERHEAD_MS:g})." for each in single),
        f"Largest worker: {largest:.2f} GB (aim: below {AIM_WORKER_GB:g}). Aims: {'met' if met else 'missed'}.",
    ]
    told = "\n".join(lines)
    table = Table(*HEADER)
    for row in figures:
        table.add_row(*cells(row))
    Console().print(table, told, soft_wrap=True)
    if json_file is not None:
        aim = {"overhead_ms": AIM_OVERHEAD_MS, "worker_gb": AIM_WORKER_GB, "met": met}
        tree = {"aim": aim, "model": model, "engine": engine, "worker_gb": largest}
        tree["memory"] = [asdict(each) | asdict(used) for each, used in memory.items()]
        tree["figures"] = [asdict(each) for each in figures]
        json_file.write_text(json.dumps(tree, indent=2) + "\n")
    if markdown_file is not None:
        markdown_file.write_text(markdown(figures, told), encoding="utf-8")
    raise typer.Exit(0 if met else 1)


if __name__ == "__main__":
    typer.run(main)
