"""The command line's ``pointrend weights``: published models and the user's own checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

if TYPE_CHECKING:
    from pointrend.weights.folder import ModelFolder

app = typer.Typer(help="Published models: what there is, getting one; and converting a checkpoint of your own.")

Name = Annotated[str, typer.Argument(help="A published model, as `pointrend weights list` names it.")]


@app.command("list")
def list_models() -> None:
    """Show the published models."""
    from pointrend.weights import cache, zoo

    table = Table(box=None, pad_edge=False)
    for heading in ("name", "backbone", "as published", "download", "here"):
        table.add_column(heading, no_wrap=True)
    for model in zoo.models():
        figure = " ".join(map(str, next(iter(model.figures.items()))))
        size = f"{model.weight_bytes / 2**20:.0f} MiB"
        here = "yes" if cache.is_cached(model.name) else "no"
        table.add_row(model.name, model.backbone, figure, size, here)
    console = Console()
    console.print(table)
    console.print(
        "\n`pointrend weights pull NAME` gets one, and `info NAME` tells more. `demo` comes with the package."
    )


@app.command()
def info(name: Name) -> None:
    """Show everything that is known of a published model."""
    from pointrend.weights import cache, zoo

    model = zoo.find(name)
    rows = {
        "model": model.title,
        "task": model.task,
        "as published": model.measured,
        "categories": ", ".join(category.name for category in model.categories),
        "licence": model.licence,
        "data": model.terms,
        "address": model.url(cache.mirror()),
        "download": f"{model.weight_bytes} bytes of weights, and a little more",
        "hash": f"begins with {model.hash_prefix}",
        "here": str(cache.model_path(name)) if cache.is_cached(name) else "no",
    }
    for key, value in rows.items():
        typer.echo(f"{key:<14}{value}")


@app.command()
def pull(
    name: Name,
    force: Annotated[bool, typer.Option(help="Download and convert it again.")] = False,
) -> None:
    """Download a published model, check it and convert it to a model folder."""
    folder = pull_showing_progress(name, Console(), force=force)
    typer.echo(f"{folder.path}: {folder.info.name}, {len(folder.info.categories)} categories")


@app.command()
def convert(
    checkpoint: Annotated[Path, typer.Argument(help="Weights of detectron2: .pkl, .pth or .safetensors.")],
    config: Annotated[Path, typer.Argument(help="Its configuration, a YAML file.")],
    info: Annotated[Path, typer.Argument(help="A model.json: name, version and categories.")],
    destination: Annotated[Path, typer.Argument(help="The model folder to write.")],
    half: Annotated[bool, typer.Option(help="Store the weights in half precision.")] = False,
) -> None:
    """Make a model folder of a detectron2 checkpoint, for `pointrend up --model FOLDER`."""
    from pointrend.weights.convert import convert as convert_checkpoint
    from pointrend.weights.folder import read_info

    folder = convert_checkpoint(checkpoint, config, destination, read_info(info), half=half)
    typer.echo(f"{folder.path}: {folder.info.name}, {len(folder.info.categories)} categories")


def pull_showing_progress(name: str, console: Console, *, force: bool = False) -> ModelFolder:
    """:func:`pointrend.weights.pull.pull` with a bar, on a terminal that can show one."""
    from pointrend.weights.pull import pull as pull_model

    columns = (TextColumn(name), BarColumn(), DownloadColumn(binary_units=True), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as progress:
        task = progress.add_task(name, total=None)
        return pull_model(
            name,
            progress=lambda here, total: progress.update(task, completed=here, total=total),
            force=force,
        )
