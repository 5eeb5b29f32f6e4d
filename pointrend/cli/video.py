"""``pointrend video``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from pointrend.cli.options import (
    DEFAULTS,
    Categories,
    Concurrency,
    Engine,
    Model,
    Refinement,
    ScoreThreshold,
    Server,
    Threads,
    Tiles,
    Token,
    given,
)
from pointrend.plain_text import escaped
from pointrend.predict.sources import local_source, server_source
from pointrend.structures.options import Options
from pointrend.system.extras import require_modules
from pointrend.weights.obtain import obtain

if TYPE_CHECKING:
    from pointrend.video.job import VideoOutcome

app = typer.Typer(add_completion=False)


@app.command()
def video(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A video file.", show_default=False)],
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="The video to write: .mp4, .mov, .mkv or .webm.", show_default=False)
    ],
    model: Model = "demo",
    server: Server = None,
    token: Token = None,
    concurrency: Concurrency = 4,
    threads: Threads = None,
    engine: Engine = "auto",
    task: Annotated[str, typer.Option(help="instances, or detection for boxes without masks.")] = DEFAULTS.task,
    score_threshold: ScoreThreshold = DEFAULTS.score_threshold,
    max_detections: Annotated[
        int, typer.Option(help="Keep the n best detections per frame.")
    ] = DEFAULTS.max_detections,
    categories: Categories = None,
    refinement: Refinement = DEFAULTS.refinement,
    tiles: Tiles = None,
) -> None:
    """Segment a video, and follow its objects through it.

    Writes the video with the masks drawn, each object in a colour of its own, and OUT.jsonl with a line per frame.
    An interrupted run resumes with the same command. Frames that cannot be read are left out, and counted.
    """
    require_modules("pointrend video", "av", "norfair")
    from pointrend.video.job import VideoJob  # with them comes PyAV
    from pointrend.video.run import run

    options = Options.parse(
        given(
            task=task,
            score_threshold=score_threshold,
            max_detections=max_detections,
            categories=categories,
            refinement=refinement,
            tiles=tiles,
        )
    )
    job = VideoJob(source, out, options)
    if server is None:
        obtain(model, Console(stderr=True))
    asked = local_source(model, threads, engine) if server is None else server_source(server, token, concurrency)
    outcome = run(
        job,
        lambda frame: asked.segment(frame, options),
        asked.model,
        asked.categories,
        concurrency=None if server is None else concurrency,
    )
    _tell(outcome)


def _tell(outcome: VideoOutcome) -> None:
    typer.echo(outcome.headline())
    for line in outcome.broken_frames:
        typer.echo(escaped(f"  {line}"), err=True)
    if outcome.broken > len(outcome.broken_frames) > 0:
        typer.echo(f"  ... and {outcome.broken - len(outcome.broken_frames)} more, in {outcome.job.lines}", err=True)
    if outcome.note is not None:
        typer.echo(escaped(outcome.note), err=True)
