"""Through the server: a real TorchServe with a model, asked by 1, 2, 4, 8 and 16 clients at a time.

    python benchmarks/server.py [--model demo] [--engine eager] [--requests 60] [--json FILE] [--markdown FILE]

Every client sends the same photo again as soon as it has its answer. Told are the median and the 95th percentile of
the answers' times, answers a second, and what is left of a lone client's median beside the time that the handler itself
says it took (the Server-Timing header): that is the server's overhead, on the network, in TorchServe's queue and
between its processes. With several clients the same difference is mostly waiting for each other, so it is no overhead.
The aims: an overhead of at most 5 ms, and a worker of less than 1.5 GB. The exit status is 1 where one is missed.
"""

from __future__ import annotations

import io
import json
import os
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import httpx
import numpy as np
import psutil
import typer
from PIL import Image
from rich.console import Console
from rich.table import Table

from gradio_app.examples import EXAMPLES
from pointrend.serving.archive import build
from pointrend.serving.torchserve import Ports, TorchServe
from pointrend.system.processes import free_ports
from pointrend.weights.folder import ModelFolder

CONCURRENCIES = (1, 2, 4, 8, 16)  # as many as the server's queue holds
WARM_UP = 300  # Java compiles what is asked often
AIM_OVERHEAD_MS, AIM_WORKER_GB = 5.0, 1.5
WORKER = "model_service_worker.py"  # in a worker's command line
TIMEOUT = 300.0
HEADER = ("clients", "p50, ms", "p95, ms", "answers a second", "p50 beyond the handler, ms")


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured with so many clients at a time.

    Attributes:
        p50_ms, p95_ms: from sending to the whole answer.
        answers_a_second: of all clients together.
        beyond_ms: the median of what the handler's own time leaves of an answer's.
    """

    clients: int
    p50_ms: float
    p95_ms: float
    answers_a_second: float
    beyond_ms: float


@dataclass(frozen=True, slots=True)
class Answer:
    """Milliseconds of an answer, and of the handler therein."""

    took: float
    handler: float


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


def measure(url: str, body: bytes, clients: int, requests: int) -> Figures:
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
            elapsed = time.perf_counter() - started
    p50, p95 = np.percentile([answer.took for answer in answers], (50, 95))
    beyond = np.median([answer.took - answer.handler for answer in answers])
    return Figures(clients, float(p50), float(p95), requests / elapsed, float(beyond))


def worker_bytes(server_pid: int) -> int:
    """The resident memory of the server's largest worker.

    Raises:
        ValueError: it has none.
    """
    workers = [child for child in psutil.Process(server_pid).children(recursive=True) if _works(child)]
    if not workers:
        raise ValueError(f"The server with process {server_pid} has no worker.")
    return max(int(worker.memory_info().rss) for worker in workers)


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
    return (str(figures.clients), *times, f"{figures.beyond_ms:.1f}")


@contextmanager
def _server(model: str, engine: str) -> Iterator[TorchServe]:
    with tempfile.TemporaryDirectory(prefix="pointrend-server-") as store:
        build(ModelFolder.open(model), Path(store), engine=engine)
        with TorchServe(Path(store), Ports(*free_ports(6))) as server:
            server.wait_ready()
            yield server


def main(
    model: Annotated[str, typer.Option(help="What to serve.")] = "demo",
    engine: Annotated[str, typer.Option(help="What computes its network.")] = "eager",
    side: Annotated[int, typer.Option(min=32, max=4000, help="The photo's shorter edge.")] = 480,
    concurrency: Annotated[list[int] | None, typer.Option(min=1, max=16, help="Clients at a time.")] = None,
    requests: Annotated[int, typer.Option(min=1, help="At each concurrency.")] = 60,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there too.")] = None,
    markdown_file: Annotated[Path | None, typer.Option("--markdown", help="Write the table there too.")] = None,
) -> None:
    """Measure and tell."""
    body = photo(side)
    with _server(model, engine) as server:
        measure(server.url, body, 1, WARM_UP)
        alone = measure(server.url, body, 1, requests)
        others = [clients for clients in concurrency or CONCURRENCIES if clients != 1]
        figures = [alone, *(measure(server.url, body, clients, requests) for clients in others)]
        memory = worker_bytes(server.pid) / 1e9
    met = alone.beyond_ms <= AIM_OVERHEAD_MS and memory < AIM_WORKER_GB
    told = (
        f"{model} with {engine} on {len(os.sched_getaffinity(0))} cores, {requests} requests each, a photo of {side} "
        f"px ({len(body) / 1000:.0f} KB): overhead {alone.beyond_ms:.1f} ms (aim: {AIM_OVERHEAD_MS:g}), worker "
        f"{memory:.2f} GB (aim: below {AIM_WORKER_GB:g}): {'met' if met else 'missed'}."
    )
    table = Table(*HEADER)
    for each in figures:
        table.add_row(*cells(each))
    Console().print(table, told, soft_wrap=True)
    if json_file is not None:
        aim = {"overhead_ms": AIM_OVERHEAD_MS, "worker_gb": AIM_WORKER_GB, "met": met}
        tree = {"aim": aim, "model": model, "engine": engine, "worker_gb": memory}
        tree["figures"] = [asdict(each) for each in figures]
        json_file.write_text(json.dumps(tree, indent=2) + "\n")
    if markdown_file is not None:
        markdown_file.write_text(markdown(figures, told), encoding="utf-8")
    raise typer.Exit(0 if met else 1)


if __name__ == "__main__":
    typer.run(main)
