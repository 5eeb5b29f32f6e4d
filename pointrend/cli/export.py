"""``pointrend export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pointrend.cli.options import MODEL_HELP
from pointrend.system.outputs import check_folder
from pointrend.weights.obtain import obtain

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.callback()
def export() -> None:
    """Write a model in another runtime's format: ONNX."""


@app.command()
def onnx(
    model: Annotated[str, typer.Argument(help=MODEL_HELP)],
    out: Annotated[Path, typer.Argument(help="The folder to write.")],
) -> None:
    """Write a model's dense parts as ONNX files, and the constants of what is between them."""
    from pointrend.engines.onnx import export_onnx  # PyTorch, which --help does without

    check_folder(out, "OUT")
    folder = obtain(model, Console(stderr=True))
    for file in export_onnx(folder, out):
        typer.echo(f"{file}: {file.stat().st_size / 2**20:.1f} MiB")
