"""``pointrend train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pointrend.datasets.folds import Fold
from pointrend.training.budget import Budget, seconds
from pointrend.training.run import train as run_training

app = typer.Typer(add_completion=False)


@app.command()
def train(
    recipe: Annotated[
        str, typer.Argument(help="A recipe (YAML), or the name of one that comes with the package: demo.")
    ],
    data: Annotated[Path, typer.Option(help="instances_SPLIT.json in COCO's format beside a folder images/.")],
    budget: Annotated[str, typer.Option(help="Over all runs: a time (90s, 25m, 2h) or 600steps.")] = "25m",
    out: Annotated[Path, typer.Option(help="Receives state, log, curve and model; a second run goes on here.")] = Path(
        "training"
    ),
    init: Annotated[str | None, typer.Option(help="Start from this model or checkpoint, not the recipe's.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; a GPU is taken where there is one.")] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads.", min=1)] = None,
    workers: Annotated[int, typer.Option(help="Processes that prepare images.", min=0, max=64)] = 1,
    seed: Annotated[int, typer.Option(help="Of everything random.", min=0)] = 0,
    save_every: Annotated[str, typer.Option(help="How often the state is saved: what a kill may cost.")] = "45s",
    fold: Annotated[
        str | None, typer.Option(help="Leave out this part of the images, such as 2/3, for cross-validation.")
    ] = None,
    split: Annotated[str, typer.Option(help="Which annotations: instances_SPLIT.json.")] = "train",
    resume: Annotated[
        Path | None, typer.Option(help="Go on from another machine's resume.safetensors, in a new --out folder.")
    ] = None,
) -> None:
    """Train or fine-tune a PointRend.

    Run the same command again to resume after a crash: less than a minute is lost."""
    folder = run_training(
        recipe,
        data,
        out,
        Budget.parse(budget),
        init=init,
        device=device,
        threads=threads,
        workers=workers,
        seed=seed,
        save_every=seconds(save_every),
        fold=None if fold is None else Fold.parse(fold),
        split=split,
        resume=resume,
    )
    typer.echo(f"{folder.path}: {folder.info.name}, {folder.weights.stat().st_size / 2**20:.1f} MiB")
