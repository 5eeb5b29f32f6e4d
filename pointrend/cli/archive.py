"""``pointrend archive``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pointrend.cli.options import Engine, Model
from pointrend.engines import resolve
from pointrend.serving.archive import build
from pointrend.system.outputs import check_folder
from pointrend.weights.obtain import obtain

app = typer.Typer(add_completion=False)


@app.command()
def archive(
    model: Model = "demo",
    destination: Annotated[Path, typer.Option(help="Where to write NAME.mar.")] = Path("model_store"),
    name: Annotated[str, typer.Option(help="The name to serve it under.")] = "pointrend",
    engine: Engine = "auto",
    calibrate: Annotated[
        Path | None,
        typer.Option(help="A folder of images, or a data set, to calibrate openvino-int8 with. \\[default: examples]"),
    ] = None,
) -> None:
    """Build a self-contained TorchServe archive of a model."""
    check_folder(destination, "--destination")
    folder = obtain(model, Console(stderr=True))
    resolve(engine, folder.network)
    path = build(folder, destination, name, engine=engine, calibrate=calibrate)
    typer.echo(f"{path}: {path.stat().st_size / 2**20:.1f} MiB")
