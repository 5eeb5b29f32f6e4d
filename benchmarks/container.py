"""What an image costs: its size, and for each role how soon it is ready, its memory and how soon it stops.

    python benchmarks/container.py [--image pointrend ...] [--program docker] [--rounds 3] [--option --runtime=runc ...]

Every container is hardened as ``docker-compose.yml`` says, and is asked for one prediction before its memory is read.
Several images take turns.
"""

from __future__ import annotations

import json
import secrets
import statistics
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import httpx
import psutil
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.watch import kind
from gradio_app.examples import EXAMPLES
from pointrend.client import Client
from pointrend.system.processes import free_ports

HARDENED = (
    "--read-only",
    "--tmpfs=/tmp:size=512m,mode=1777",
    "--cap-drop=all",
    "--security-opt=no-new-privileges",
    "--memory=4g",
    "--ulimit=nofile=16384:16384",
    "--ulimit=nproc=16384:16384",
)
PATIENCE_SECONDS = 180


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one container.

    Attributes:
        ready: seconds until it was.
        memory: bytes by kind of process, after a prediction where it makes any.
        stop: seconds from SIGTERM to its end.
    """

    ready: float
    memory: dict[str, int]
    stop: float


class Engine:
    """Docker, or what takes its words.

    Args:
        program: ``docker`` or ``podman``.
        options: of ``run``.
    """

    def __init__(self, program: str, options: list[str]) -> None:
        self._program = program
        self._options = options

    def __call__(self, *words: str) -> str:
        """What a command prints."""
        return subprocess.run([self._program, *words], capture_output=True, text=True, check=True).stdout.strip()

    def size(self, image: str) -> int:
        """Bytes of an image, its layers unpacked."""
        return int(json.loads(self("image", "inspect", image))[0]["Size"])

    def measure(self, image: str, role: str, rest: float = 0.0) -> Cost:
        """Run a role once; its memory is read ``rest`` seconds after its prediction."""
        port, grpc_port, token = *free_ports(2), secrets.token_hex(16)
        variables = {
            "POINTREND_ROLE": role,
            "PORT": str(port),
            "POINTREND_GRPC_PORT": str(grpc_port),
            "POINTREND_TOKEN": token,
            # The page alone needs a server's address to start, and none that answers.
            **({"POINTREND_SERVER": "http://127.0.0.1:9"} if role == "page" else {}),
        }
        given = [f"--env={name}={value}" for name, value in variables.items()]
        started = time.monotonic()
        name = self("run", "--detach", "--network=host", *HARDENED, *self._options, *given, image)
        try:
            probe = "/" if role == "page" else "/readyz"
            while not _answers(f"http://127.0.0.1:{port}{probe}"):
                if time.monotonic() - started > PATIENCE_SECONDS:
                    raise TimeoutError(f"{role} was not ready in {PATIENCE_SECONDS} s:\n{self('logs', name)[-2000:]}")
                time.sleep(0.05)
            ready = time.monotonic() - started
            if role != "page":
                with Client(f"http://127.0.0.1:{port}", token=token) as client:
                    client.segment(EXAMPLES[0].path.read_bytes())
            time.sleep(rest)
            memory = _memory(int(self("inspect", "--format", "{{.State.Pid}}", name)))
            started = time.monotonic()
            self("stop", "--time=60", name)
            return Cost(ready, memory, time.monotonic() - started)
        finally:
            self("rm", "--force", name)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=20).is_success
    except httpx.TransportError:
        return False


def _memory(pid: int) -> dict[str, int]:
    """Bytes that a process and all below it hold, by their kinds, what they share divided among them."""
    process, held = psutil.Process(pid), Counter[str]()
    for each in [process, *process.children(recursive=True)]:
        held[kind(each)] += each.memory_full_info().pss
    return dict(held)


def main(
    image: Annotated[list[str] | None, typer.Option(help="A name; may be repeated. [default: pointrend]")] = None,
    program: Annotated[str, typer.Option(help="docker or podman.")] = "docker",
    rounds: Annotated[int, typer.Option(min=1, help="Containers a role.")] = 3,
    role: Annotated[list[str] | None, typer.Option(help="What runs; may be repeated. [default: each]")] = None,
    rest: Annotated[float, typer.Option(min=0, help="Seconds from the prediction to the look at the memory.")] = 0.0,
    option: Annotated[list[str] | None, typer.Option(help="One more for `run`; may be repeated.")] = None,
    report: Annotated[Path | None, typer.Option("--json", help="Also write the figures here.")] = None,
) -> None:
    """Measure, and print a table."""
    engine, images, roles = Engine(program, option or []), image or ["pointrend"], role or ["server", "all", "page"]
    costs: dict[str, dict[str, list[Cost]]] = {name: {each: [] for each in roles} for name in images}
    for _ in range(rounds):
        for each in roles:
            for name in images:
                costs[name][each].append(engine.measure(name, each, rest))
    figures = {}
    for name in images:
        size = engine.size(name)
        figures[name] = {"bytes": size, **{each: _figures(costs[name][each]) for each in roles}}
        table = Table(title=f"{name}: {size / 1e9:.2f} GB; medians of {rounds} containers a role")
        for title in ("role", "ready after", "memory", "stops within", "of the memory"):
            table.add_column(title)
        for each in roles:
            found = _figures(costs[name][each])
            parts = ", ".join(f"{kind} {held / 1e6:.0f} MB" for kind, held in found["memory_by_process"].items())
            ready, stop = (f"{found[key]:.1f} s" for key in ("ready_seconds", "stop_seconds"))
            table.add_row(each, ready, f"{found['memory_bytes'] / 1e9:.2f} GB", stop, parts)
        Console().print(table)
    if report is not None:
        report.write_text(json.dumps(figures, indent=2))


def _figures(costs: Sequence[Cost]) -> dict[str, Any]:
    """Medians of one role's containers, and the times of each."""
    kinds = sorted({name for cost in costs for name in cost.memory})
    return {
        "ready_seconds": statistics.median(cost.ready for cost in costs),
        "ready_seconds_each": [round(cost.ready, 2) for cost in costs],
        "memory_bytes": statistics.median(sum(cost.memory.values()) for cost in costs),
        "memory_by_process": {name: statistics.median(cost.memory.get(name, 0) for cost in costs) for name in kinds},
        "stop_seconds": statistics.median(cost.stop for cost in costs),
    }


if __name__ == "__main__":
    typer.run(main)
