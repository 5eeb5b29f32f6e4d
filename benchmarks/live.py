"""Frames a second of the live view: a real TorchServe with a model, and what the page does with each frame.

    python benchmarks/live.py [--seconds 20] [--model demo] [--engine auto] [--url http://127.0.0.1:8080] [--json FILE]

One viewer whose camera always has a newer frame, as in the page: a 640x480 picture is scaled to 320 pixels, sent as
JPEG, answered with masks for the browser to draw, and the next one taken; the page's two frames in flight are not
imitated, nor is the browser. Wall-clock time falls when the machine does other work as well, so the
processor seconds that the server and the viewer spent a frame are told beside: a core's worth of them is the bound.
The aim: at least 15 frames a second on two cores with the demo model. The exit status is 1 where it is missed.
"""

from __future__ import annotations

import io
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import psutil
import typer
from PIL import Image
from rich.console import Console

from gradio_app.examples import EXAMPLES
from gradio_app.live import SENT_SIDE, find_objects
from pointrend.client import Client
from pointrend.client.retries import Retries
from pointrend.engines import AUTO
from pointrend.serving.archive import build
from pointrend.serving.torchserve import Ports, TorchServe
from pointrend.system.processes import free_ports
from pointrend.weights.folder import ModelFolder

AIM_FRAMES_A_SECOND = 15.0
CAMERA_SIZE = 640, 480
WARM_UP_FRAMES = 3


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured.

    Attributes:
        frames: that were answered.
        frames_a_second: of wall-clock time.
        median_ms, p95_ms: from the camera's frame to its masks.
        server_ms: of which the server spent so much, median.
        cpu_seconds_a_frame: of the server, where it was started here, and of the viewer.
        busy_share: of the machine's processors, by everything that ran, from 0 to 1.
    """

    frames: int
    frames_a_second: float
    median_ms: float
    p95_ms: float
    server_ms: float
    cpu_seconds_a_frame: float
    busy_share: float


def measure(client: Client, seconds: float, server_pid: int | None) -> Figures:
    """Send frames one after the other.

    Args:
        client: of the server.
        seconds: how long.
        server_pid: whose processor time, with its children's, is counted; None for a server elsewhere.
    """
    frame = Image.open(EXAMPLES[0].path).convert("RGB").resize(CAMERA_SIZE)
    for _ in range(WARM_UP_FRAMES):
        find_objects(client, _file(frame), 0.5)
    psutil.cpu_percent()
    spent = _cpu_seconds(server_pid)
    took, on_server = [], []
    started = time.perf_counter()
    while time.perf_counter() - started < seconds:
        begun = time.perf_counter()
        answer = find_objects(client, _file(frame), 0.5)
        took.append((time.perf_counter() - begun) * 1000)
        on_server.append(answer["ms"])
    elapsed = time.perf_counter() - started
    return Figures(
        frames=len(took),
        frames_a_second=len(took) / elapsed,
        median_ms=statistics.median(took),
        p95_ms=sorted(took)[int(0.95 * (len(took) - 1))],
        server_ms=statistics.median(on_server),
        cpu_seconds_a_frame=(_cpu_seconds(server_pid) - spent) / len(took),
        busy_share=psutil.cpu_percent() / 100,
    )


def _file(frame: Image.Image) -> bytes:
    """A frame as the browser sends it."""
    small = frame.copy()
    small.thumbnail((SENT_SIDE, SENT_SIDE), Image.Resampling.BILINEAR)
    file = io.BytesIO()
    small.save(file, "JPEG", quality=85)
    return file.getvalue()


def _cpu_seconds(server_pid: int | None) -> float:
    processes = [psutil.Process()]
    if server_pid is not None:
        server = psutil.Process(server_pid)
        processes += [server, *server.children(recursive=True)]
    return sum(times.user + times.system for times in (process.cpu_times() for process in processes))


@contextmanager
def _server(model: str, engine: str) -> Iterator[TorchServe]:
    with tempfile.TemporaryDirectory(prefix="pointrend-live-") as store:
        build(ModelFolder.open(model), Path(store), engine=engine)
        with TorchServe(Path(store), Ports(*free_ports(6))) as server:
            server.wait_ready()
            yield server


def main(
    seconds: Annotated[float, typer.Option(min=1, help="How long to measure.")] = 20.0,
    model: Annotated[str, typer.Option(help="What to serve.")] = "demo",
    engine: Annotated[str, typer.Option(help="What computes its network.")] = AUTO,
    url: Annotated[str | None, typer.Option(help="Measure a server that runs already instead.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there too.")] = None,
) -> None:
    """Measure and tell."""
    if url is None:
        with _server(model, engine) as server:
            figures = measure(Client(server.url, retries=Retries(count=0)), seconds, server.pid)
    else:
        figures = measure(Client(url, retries=Retries(count=0)), seconds, None)
    met = figures.frames_a_second >= AIM_FRAMES_A_SECOND
    cores = len(os.sched_getaffinity(0))
    Console().print(
        f"{figures.frames_a_second:.1f} frames a second at {SENT_SIDE} px over {figures.frames} frames on {cores} "
        f"cores (aim: {AIM_FRAMES_A_SECOND:g}, {'met' if met else 'missed'}); median {figures.median_ms:.0f} ms, "
        f"p95 {figures.p95_ms:.0f} ms, of which the server {figures.server_ms:.0f} ms; "
        f"{figures.cpu_seconds_a_frame:.2f} CPU seconds a frame; the machine was {figures.busy_share:.0%} busy.",
        soft_wrap=True,
    )
    if json_file is not None:
        tree = {"aim": {"frames_a_second": AIM_FRAMES_A_SECOND, "met": met}, **asdict(figures)}
        tree |= {"cores": cores, "machine": platform.machine(), "python": platform.python_version()}
        json_file.write_text(json.dumps(tree, indent=2) + "\n")
    raise typer.Exit(0 if met else 1)


if __name__ == "__main__":
    typer.run(main)
