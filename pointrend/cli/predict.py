"""``pointrend predict``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pointrend.cli.options import DEFAULTS, Categories, Engine, Model, ScoreThreshold, Task, given
from pointrend.cli.summary import tell
from pointrend.predict import Job, find_images, result_folders, run
from pointrend.predict.run import RunStopped
from pointrend.predict.sources import local_source, server_source
from pointrend.structures.options import FULL_REFINEMENT, Options
from pointrend.system.outputs import check_folder
from pointrend.weights.obtain import obtain

app = typer.Typer(add_completion=False)


@app.command()
def predict(
    images: Annotated[list[str], typer.Argument(help="Images, folders and globs.")],
    out: Annotated[Path, typer.Option(help="Output folder; an interrupted run resumes in it.")],
    save: Annotated[str, typer.Option(help="Comma-separated: coco, labelme, yolo, png, overlay, cutouts.")] = "coco",
    model: Model = "demo",
    server: Annotated[
        str | None,
        typer.Option(help="Use the server at this URL (http, https, grpc, grpcs) instead of loading a model."),
    ] = None,
    token: Annotated[
        str | None, typer.Option(help="The server's token; found automatically for a server on this machine.")
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Concurrent requests to the server.")] = 4,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads of the model.")] = None,
    engine: Engine = "auto",
    task: Task = DEFAULTS.task,
    score_threshold: ScoreThreshold = DEFAULTS.score_threshold,
    max_detections: Annotated[
        int, typer.Option(help="Keep the n best detections per image.")
    ] = DEFAULTS.max_detections,
    categories: Categories = None,
    refinement: Annotated[
        int, typer.Option(help=f"Steps of point refinement, 0 to {FULL_REFINEMENT}.")
    ] = DEFAULTS.refinement,
    exact: Annotated[bool, typer.Option(help="Refine small objects as much as large ones.")] = DEFAULTS.exact,
) -> None:
    """Segment images and save the results, one folder per format.

    Images that have their results are skipped. The end of the output lists failed images and files that were not read.
    The exit status is 0 if every image has its results, otherwise 1.
    """
    options = Options.parse(
        given(
            task=task,
            score_threshold=score_threshold,
            max_detections=max_detections,
            categories=categories,
            refinement=refinement,
            exact=exact,
        )
    )
    names = tuple(dict.fromkeys(name.strip() for name in save.split(",") if name.strip()))
    check_folder(out, "--out")
    job = Job(find_images(images, outside=result_folders(out)), out, names, options)
    if server is None:
        obtain(model, Console(stderr=True))
    source = local_source(model, threads, engine) if server is None else server_source(server, token, concurrency)
    outcome = run(job, source)

    summary = outcome.summary()
    tell(summary)
    if outcome.stopped is not None:
        raise RunStopped(outcome.stopped)
    if not summary.complete:
        raise typer.Exit(1)
