"""TorchServe and the ASGI server side by side: start, memory at rest, and answers to 1 to 16 clients.

    python -m benchmarks.servers [--model demo] [--starts 3] [--requests 24] [--rounds 2] [--json FILE]

Each is what ``pointrend up`` starts without its page: TorchServe behind the gateway, and the gateway with a worker of
its own. Starts alternate: from the first process to the first prediction. Then both run, and one is asked after the
other at each number of clients, in turns; who is not asked is idle. Memory is the proportional share (PSS) of all
processes of a server together, after predictions and half a minute of rest.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import httpx
import psutil
import typer
from rich.console import Console
from rich.markdown import Markdown

from benchmarks.server import CONCURRENCIES, Figures, Subject, measure, photo
from pointrend.serving.archive import build
from pointrend.serving.asgi import AsgiServer, ModelFiles
from pointrend.serving.gateway_process import Gateway
from pointrend.serving.torchserve import Ports, TorchServe
from pointrend.system.machine import processor
from pointrend.system.processes import free_ports
from pointrend.system.stop_signals import StopSignals
from pointrend.weights.folder import ModelFolder

TORCHSERVE, ASGI = "torchserve", "asgi"
WARM_UP = 300  # requests that are refused at once: Java compiles what is asked often
ONE_WORKER = Subject(workers=1, batch=1)
REST_SECONDS = 30  # Java gives memory back meanwhile


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers.

    Attributes:
        url: of its gateway.
        pids: of the processes that were started, whose children count with them.
    """

    url: str
    pids: tuple[int, ...]

    def processes(self) -> list[psutil.Process]:
        """All of them, with those that they have started."""
        roots = [psutil.Process(pid) for pid in self.pids]
        return [*roots, *(child for root in roots for child in root.children(recursive=True))]

    def memory(self) -> int:
        """Bytes, the proportional share of what is shared."""
        return sum(int(process.memory_full_info().pss) for process in self.processes())


@contextmanager
def torchserve(store: Path) -> Iterator[Running]:
    """TorchServe behind the gateway, once it has answered a prediction."""
    with (
        TorchServe(store, Ports(*free_ports(6)), private=True) as server,
        Gateway(server, free_ports(1)[0]) as gateway,
    ):
        gateway.wait_ready()
        server.wait_ready()
        yield Running(gateway.url, (server.pid, gateway.pid))


@contextmanager
def asgi(store: Path) -> Iterator[Running]:
    """The ASGI server, of the same archive, once it has answered a prediction."""
    with AsgiServer({"pointrend": ModelFiles(store / "pointrend.mar")}, free_ports(1)[0]) as server:
        server.wait_ready()
        yield Running(server.url, (server.pid,))


SERVERS = {TORCHSERVE: torchserve, ASGI: asgi}


def start_seconds(name: str, store: Path) -> float:
    """From the first process to the first prediction."""
    began = time.perf_counter()
    with SERVERS[name](store):
        return time.perf_counter() - began


def in_turns(
    running: dict[str, Running], body: bytes, concurrencies: Sequence[int], requests: int, rounds: int
) -> dict[str, list[list[Figures]]]:
    """Figures by server, number of clients and round; every round asks each server at each number."""
    figures: dict[str, list[list[Figures]]] = {name: [[] for _ in concurrencies] for name in running}
    for _ in range(rounds):
        for place, clients in enumerate(concurrencies):
            for name, server in running.items():
                run = measure(server.url, body, clients, requests)
                figures[name][place].append(Figures.of(ONE_WORKER, clients, [run]))
    return figures


def warm_up(server: Running, body: bytes) -> None:
    """Ask what is refused before the model, many times, and then a little of what is not."""
    with httpx.Client(trust_env=False) as client:
        for _ in range(WARM_UP):
            client.post(f"{server.url}/predictions/pointrend", content=b"no photo")
    measure(server.url, body, 1, 4)


def table(figures: dict[str, list[list[Figures]]], concurrencies: Sequence[int]) -> str:
    """Medians over the rounds, one row a number of clients."""
    names = list(figures)
    head = ["clients"] + [f"{name}: {what}" for what in ("p50, ms", "p95, ms", "answers/s") for name in names]
    rows = [head, ["---:"] * len(head)]
    for place, clients in enumerate(concurrencies):
        row = [str(clients)]
        for pick, digits in (("p50_ms", 0), ("p95_ms", 0), ("answers_a_second", 2)):
            for name in names:
                row.append(f"{statistics.median(getattr(each, pick) for each in figures[name][place]):.{digits}f}")
        rows.append(row)
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main(
    model: Annotated[str, typer.Option(help="What to serve.")] = "demo",
    engine: Annotated[str, typer.Option(help="What computes its network.")] = "eager",
    side: Annotated[int, typer.Option(min=32, max=4000, help="The photo's shorter edge.")] = 480,
    starts: Annotated[int, typer.Option(min=0, help="Of each server.")] = 3,
    requests: Annotated[int, typer.Option(min=0, help="At each number of clients, in each round; 0: none.")] = 24,
    rounds: Annotated[int, typer.Option(min=1)] = 2,
    clients: Annotated[list[int] | None, typer.Option(min=1, max=16, help="Clients at a time.")] = None,
    rest: Annotated[float, typer.Option(min=0, help="Seconds before memory is read.")] = REST_SECONDS,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there too.")] = None,
    markdown_file: Annotated[Path | None, typer.Option("--markdown", help="Write the text there too.")] = None,
) -> None:
    """Measure and tell."""
    concurrencies = clients or CONCURRENCIES
    body = photo(side)
    tree: dict[str, object] = {"model": model, "engine": engine, "processor": processor()}
    told = [f"{model} with {engine} on {len(os.sched_getaffinity(0))} cores ({processor()}), a photo of {side} px.", ""]
    with StopSignals(), ExitStack() as stack:
        store = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pointrend-servers-")))
        build(ModelFolder.open(model), store, engine=engine)
        seconds: dict[str, list[float]] = {name: [] for name in SERVERS}
        for _ in range(starts):
            for name in SERVERS:
                seconds[name].append(start_seconds(name, store))
        if starts:
            tree["start_seconds"] = seconds
            told += [
                f"- Start to first prediction, {name}: median {statistics.median(took):.1f} s ({min(took):.1f} to "
                f"{max(took):.1f})"
                for name, took in seconds.items()
            ]
        if requests:
            running = {name: stack.enter_context(begin(store)) for name, begin in SERVERS.items()}
            for server in running.values():
                warm_up(server, body)
            figures = in_turns(running, body, concurrencies, requests, rounds)
            time.sleep(rest)
            memory = {name: server.memory() for name, server in running.items()}
            tree |= {
                "memory_bytes": memory,
                "figures": {name: [[asdict(e) for e in each] for each in all_] for name, all_ in figures.items()},
            }
            told += [
                f"- Memory at rest, {name}: {memory[name] / 2**20:.0f} MiB in {len(server.processes())} processes; "
                f"median beyond the model's own time with the first number of clients: "
                f"{statistics.median(each.beyond_ms for each in figures[name][0]):.1f} ms"
                for name, server in running.items()
            ]
            told += ["", table(figures, concurrencies), "", f"{requests} requests each, medians of {rounds} rounds."]
    text = "\n".join(told) + "\n"
    Console().print(Markdown(text))
    if json_file is not None:
        json_file.write_text(json.dumps(tree, indent=2) + "\n")
    if markdown_file is not None:
        markdown_file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
