"""``pointrend train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pointrend.datasets.folds import Fold
from pointrend.system.outputs import check_folder
from pointrend.training.budget import Budget, seconds
from pointrend.training.run import train as run_training

app = typer.Typer(add_completion=False)


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="A recipe (YAML), or the name of an included one, such as small-rcnn.")],
    data: Annotated[Path, typer.Option(help="Folder with instances_SPLIT.json (COCO) and images/.")],
    budget: Annotated[
        str, typer.Option(help="Training time of all runs together (90s, 25m, 2h), or steps (600steps).")
    ] = "25m",
    out: Annotated[
        Path, typer.Option(help="Output folder for state, log, curve and model; a later run resumes in it.")
    ] = Path("training"),
    init: Annotated[
        str | None, typer.Option(help="Start from this model or checkpoint instead of the recipe's.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; by default a GPU if available.")] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads.", min=1)] = None,
    workers: Annotated[int, typer.Option(help="Data loading processes.", min=0, max=64)] = 1,
    seed: Annotated[int, typer.Option(help="Random seed.", min=0)] = 0,
    save_every: Annotated[str, typer.Option(help="How often to save the state.")] = "45s",
    fold: Annotated[str | None, typer.Option(help="Leave out this fold, such as 2/3, for cross-validation.")] = None,
    split: Annotated[str, typer.Option(help="Which annotations: instances_SPLIT.json.")] = "train",
    resume: Annotated[
        Path | None, typer.Option(help="Continue from another machine's resume.safetensors in a new --out folder.")
    ] = None,
) -> None:
    """Train or fine-tune a model.

    Run the same command again to resume after a crash: less than a minute is lost."""
    check_folder(out, "--out")
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
