"""What the image costs: its size, and for each role how soon it is ready, its memory and how soon it stops.

    python benchmarks/container.py [--image pointrend] [--program docker] [--rounds 3] [--option --runtime=runc ...]

Every container is hardened as ``docker-compose.yml`` says, and is asked for one prediction before its memory is read.
"""

from __future__ import annotations

import json
import secrets
import statistics
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import httpx
import psutil
import typer
from rich.console import Console
from rich.table import Table

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
        memory: bytes, after a prediction where it makes any.
        stop: seconds from SIGTERM to its end.
    """

    ready: float
    memory: int
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

    def measure(self, image: str, role: str) -> Cost:
        """Run a role once."""
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
                time.sleep(0.1)
            ready = time.monotonic() - started
            if role != "page":
                with Client(f"http://127.0.0.1:{port}", token=token) as client:
                    client.segment(EXAMPLES[0].path.read_bytes())
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


def _memory(pid: int) -> int:
    """Bytes that a process and all below it hold, what they share divided among them."""
    process = psutil.Process(pid)
    return sum(each.memory_full_info().pss for each in [process, *process.children(recursive=True)])


def main(
    image: Annotated[str, typer.Option(help="The image's name.")] = "pointrend",
    program: Annotated[str, typer.Option(help="docker or podman.")] = "docker",
    rounds: Annotated[int, typer.Option(min=1, help="Containers a role.")] = 3,
    option: Annotated[list[str] | None, typer.Option(help="One more for `run`; may be repeated.")] = None,
    report: Annotated[Path | None, typer.Option("--json", help="Also write the figures here.")] = None,
) -> None:
    """Measure, and print a table."""
    engine = Engine(program, option or [])
    table = Table(title=f"{image}: {engine.size(image) / 1e9:.2f} GB; medians of {rounds} containers a role")
    for title in ("role", "ready after", "memory", "stops within"):
        table.add_column(title)
    figures = {}
    for role in ("server", "all", "page"):
        costs = [engine.measure(image, role) for _ in range(rounds)]
        ready, stop = (statistics.median(getattr(cost, name) for cost in costs) for name in ("ready", "stop"))
        memory = statistics.median(cost.memory for cost in costs)
        figures[role] = {"ready_seconds": ready, "memory_bytes": memory, "stop_seconds": stop}
        table.add_row(role, f"{ready:.1f} s", f"{memory / 1e9:.2f} GB", f"{stop:.1f} s")
    Console().print(table)
    if report is not None:
        report.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    typer.run(main)
