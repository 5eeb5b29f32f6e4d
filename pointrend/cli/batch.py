"""``pointrend batch``."""

from __future__ import annotations

import contextlib
from typing import Annotated

import typer
from rich.console import Console

from pointrend.batch.plan import FORMS, Plan, local_folder
from pointrend.batch.run import batch_config, run
from pointrend.cli.options import DEFAULTS, Categories, Engine, Model, ScoreThreshold, Task, Tiles, Zoom, given
from pointrend.cli.summary import tell
from pointrend.system.extras import require_modules
from pointrend.system.run_lock import locked
from pointrend.weights.obtain import obtain

app = typer.Typer(add_completion=False)


@app.command()
def batch(
    source: Annotated[str, typer.Argument(metavar="INPUT", help="Input folder or URL (s3://..., gs://...).")],
    output: Annotated[str, typer.Argument(help="Output folder or URL; an interrupted run resumes in it.")],
    model: Model = "demo",
    form: Annotated[
        str, typer.Option(help="parquet or jsonl: one row per image, with COCO's field names.")
    ] = "parquet",
    workers: Annotated[
        int, typer.Option(min=1, help="Number of processes with a model each, on all machines together.")
    ] = 1,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads per worker.")] = 1,
    engine: Engine = "auto",
    shard_size: Annotated[
        int, typer.Option(min=1, help="Images per shard, the unit that is repeated after a failure.")
    ] = 256,
    address: Annotated[
        str | None, typer.Option(help="Address of a Ray cluster; by default Ray starts on this machine.")
    ] = None,
    task: Task = DEFAULTS.task,
    score_threshold: ScoreThreshold = DEFAULTS.score_threshold,
    categories: Categories = None,
    tiles: Tiles = None,
    zoom: Zoom = DEFAULTS.zoom,
) -> None:
    """Segment millions of images on Ray: sharded, and resumed after a crash.

    The end of the output lists failed images and files that were not read. The exit status is 0 if every image is in a
    part or in a file of failures, otherwise 1.
    """
    if form not in FORMS:
        raise typer.BadParameter(f"{form!r} is not {' or '.join(FORMS)}.", param_hint="--form")
    require_modules("pointrend batch", "ray", "pyarrow")
    obtain(model, Console(stderr=True))
    options = given(task=task, score_threshold=score_threshold, categories=categories, tiles=tiles, zoom=zoom)
    config = batch_config(source, model=model, engine=engine, options=options, form=form, shard_size=shard_size)
    folder = local_folder(output)
    with contextlib.nullcontext() if folder is None else locked(folder, "OUTPUT"):
        outcome = run(Plan.open(config, output), workers, threads, address)
    summary = outcome.summary()
    tell(summary)
    if outcome.left or any(each.missed for each in summary.not_read):
        raise typer.Exit(1)
