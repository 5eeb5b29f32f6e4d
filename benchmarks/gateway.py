"""What the gateway adds: a TorchServe whose handler returns at once, asked directly and through the gateway, in turns.

    python benchmarks/gateway.py [--requests 400] [--kilobytes 120] [--json FILE]

One client sends an image of so many kilobytes, as a raw body and as a form. Told are the medians and the 95th
percentiles of the answers' times, and the difference of the medians, which is what the gateway adds. The aim: 3 ms at
most. The exit status is 1 where it is missed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import httpx
import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from pointrend.serving.gateway_process import Gateway
from pointrend.serving.torchserve import Ports, TorchServe
from pointrend.system.http_probe import UNIX
from pointrend.system.processes import free_ports

AIM_MS = 3.0
WARM_UP = 300  # Java compiles what is asked often
PATH = "/predictions/pointrend"
HANDLER = """class AtOnce:
    def initialize(self, context):
        pass

    def handle(self, data, context):
        return [b"{}"] * len(data)
"""


def archive(folder: Path) -> Path:
    """A model store with a handler that does nothing."""
    (folder / "at_once.py").write_text(HANDLER)
    command = [sys.executable, "-m", "model_archiver.model_packaging", "--model-name", "pointrend", "--version", "1.0"]
    command += ["--handler", "at_once.py", "--export-path", "."]
    subprocess.run(command, cwd=folder, env=os.environ | {"TMPDIR": str(folder)}, check=True, capture_output=True)
    return folder


def milliseconds(ask: Callable[[], httpx.Response]) -> float:
    """How long one answer takes."""
    started = time.perf_counter()
    ask().raise_for_status()
    return (time.perf_counter() - started) * 1000


def measure(direct: httpx.Client, through: httpx.Client, requests: int, body: dict[str, Any]) -> dict[str, float]:
    """Ask in turns, so that whatever else the machine does falls on both alike."""
    asks = {"direct": lambda: direct.post(PATH, **body), "gateway": lambda: through.post(PATH, **body)}
    taken: dict[str, list[float]] = {name: [] for name in asks}
    for number in range(WARM_UP + requests):
        for name, ask in asks.items():
            spent = milliseconds(ask)
            if number >= WARM_UP:
                taken[name].append(spent)
    figures = {f"{name}_p{q}_ms": float(np.percentile(values, q)) for name, values in taken.items() for q in (50, 95)}
    return {**figures, "added_p50_ms": figures["gateway_p50_ms"] - figures["direct_p50_ms"]}


def main(
    requests: Annotated[int, typer.Option(min=1, help="Measured requests of each kind, after the warm-up.")] = 400,
    kilobytes: Annotated[int, typer.Option(min=1, help="Size of the image.")] = 120,
    json_file: Annotated[Path | None, typer.Option("--json", help="Receives the figures.")] = None,
) -> None:
    """Measure and tell."""
    image = os.urandom(kilobytes * 1000)  # compressed images are as good as random
    kinds: dict[str, dict[str, Any]] = {
        "raw": {"content": image, "headers": {"Content-Type": "image/jpeg"}},
        "form": {"files": {"image": ("a.jpg", image, "image/jpeg")}, "data": {"masks": "none"}},
    }
    with tempfile.TemporaryDirectory() as folder:
        store = archive(Path(folder))
        with (
            TorchServe(store, Ports(*free_ports(6)), private=True) as server,
            Gateway(server, free_ports(1)[0]) as gateway,
        ):
            gateway.wait_ready()
            server.wait_ready()
            if server.url.startswith(UNIX):
                transport = httpx.HTTPTransport(uds=server.url.removeprefix(UNIX))
                direct = httpx.Client(transport=transport, base_url="http://torchserve")
            else:
                direct = httpx.Client(base_url=server.url)
            with direct, httpx.Client(base_url=gateway.url) as through:
                results = {kind: measure(direct, through, requests, body) for kind, body in kinds.items()}
    table = Table("", *next(iter(results.values())))
    for kind, figures in results.items():
        table.add_row(kind, *(f"{value:.2f}" for value in figures.values()))
    Console().print(table)
    if json_file is not None:
        json_file.write_text(json.dumps(results, indent=1))
    raise typer.Exit(int(any(figures["added_p50_ms"] > AIM_MS for figures in results.values())))


if __name__ == "__main__":
    typer.run(main)
