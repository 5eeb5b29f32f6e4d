"""``pointrend predict``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, cast

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
    Task,
    Threads,
    Tiles,
    Token,
    Zoom,
    given,
)
from pointrend.cli.summary import tell
from pointrend.masks.alpha import Alpha
from pointrend.plain_text import escaped
from pointrend.predict import Job, find_images, result_folders, run
from pointrend.predict.box_results import BoxResults
from pointrend.predict.run import RunStopped
from pointrend.predict.sources import local_source, server_source
from pointrend.predict.summary import listed
from pointrend.structures.options import Options
from pointrend.system.outputs import check_folder
from pointrend.weights.obtain import obtain

app = typer.Typer(add_completion=False)


@app.command()
def predict(
    images: Annotated[list[str], typer.Argument(help="Images, folders and globs.")],
    out: Annotated[Path, typer.Option(help="Output folder; an interrupted run resumes in it.")],
    save: Annotated[
        str, typer.Option(help="Comma-separated: coco, labelme, yolo, png, overlay, uncertainty, cutouts.")
    ] = "coco",
    model: Model = "demo",
    server: Server = None,
    token: Token = None,
    concurrency: Concurrency = 4,
    threads: Threads = None,
    engine: Engine = "auto",
    task: Task = DEFAULTS.task,
    score_threshold: ScoreThreshold = DEFAULTS.score_threshold,
    max_detections: Annotated[
        int, typer.Option(help="Keep the n best detections per image.")
    ] = DEFAULTS.max_detections,
    categories: Categories = None,
    refinement: Refinement = DEFAULTS.refinement,
    exact: Annotated[bool, typer.Option(help="Refine small objects as much as large ones.")] = DEFAULTS.exact,
    boxes: Annotated[
        Path | None,
        typer.Option(help="COCO results: add a mask to each of their boxes instead of detecting objects."),
    ] = None,
    tiles: Tiles = None,
    zoom: Zoom = DEFAULTS.zoom,
    alpha: Annotated[
        str, typer.Option(help="Edges of cut-outs: soft (anti-aliased, no fringe of the background) or hard.")
    ] = DEFAULTS.alpha,
    budget_ms: Annotated[
        int | None, typer.Option(help="Refine an image's masks for at most this many milliseconds.")
    ] = None,
) -> None:
    """Segment images and save the results, one folder per format.

    Images that have their results are skipped. The end of the output lists failed images and files that were not read.
    The exit status is 0 if every image has its results, otherwise 1.
    """
    asked = given(
        task=task,
        score_threshold=score_threshold,
        max_detections=max_detections,
        categories=categories,
        refinement=refinement,
        exact=exact,
        tiles=tiles,
        zoom=zoom,
        budget_ms=budget_ms,
    )
    options = Options.parse(asked)
    results = None
    if boxes is not None:
        Options.parse({**asked, "boxes": []})  # refuses what does not go together with them
        results = BoxResults.read(boxes)
    names = tuple(dict.fromkeys(name.strip() for name in save.split(",") if name.strip()))
    check_folder(out, "--out")
    job = Job(find_images(images, outside=result_folders(out)), out, names, options, cast(Alpha, alpha))
    if server is None:
        obtain(model, Console(stderr=True))
    source = local_source(model, threads, engine) if server is None else server_source(server, token, concurrency)
    if results is not None:
        found, others = results.attach(job.found, source.categories)
        job = replace(job, found=found)
        if others:
            shown = listed(list(map(repr, others)))
            typer.echo(escaped(f"--boxes: no image was given for the image_id {shown}."), err=True)
    outcome = run(job, source)

    summary = outcome.summary()
    tell(summary)
    if outcome.uncorrected:
        again = escaped(listed([each.file_name for each in outcome.uncorrected]))
        reason = "the image, the model or the options have changed"
        typer.echo(f"Predicted again, without the corrections made before, since {reason}: {again}", err=True)
    if outcome.stopped is not None:
        raise RunStopped(outcome.stopped)
    if not summary.complete:
        raise typer.Exit(1)
