"""``pointrend eval``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pointrend.evaluation.run import EvalConfig
from pointrend.evaluation.run import evaluate as run
from pointrend.system.outputs import check_folder
from pointrend.weights.obtain import obtain

app = typer.Typer(add_completion=False)
DEFAULTS = EvalConfig(models=("demo",), data=Path())


@app.command("eval")
def evaluate(
    data: Annotated[Path, typer.Option(help="Folder with instances_SPLIT.json (COCO) and images/.")],
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="demo, a published model, hf://OWNER/NAME, or a model's folder. Repeat it for cross-validation: the "
            "models trained with --fold 1/N to N/N, in this order, each evaluate the images that they were not "
            "learn from. \\[default: demo]"
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="Which annotations: instances_SPLIT.json.")] = DEFAULTS.split,
    limit: Annotated[int | None, typer.Option(help="Use only n images, evenly spaced.")] = None,
    heads: Annotated[
        str | None, typer.Option(help="Comma-separated: refined, coarse, conv. By default all that the model has.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the report and the contact sheet.")] = None,
    bootstrap: Annotated[int, typer.Option(help="Bootstrap resamples for the intervals.")] = DEFAULTS.resamples,
    sheet: Annotated[int, typer.Option(help="Images on the contact sheet.")] = DEFAULTS.sheet,
    engine: Annotated[
        str, typer.Option(help="The engine: eager, openvino, openvino-int8, bf16 or cuda.")
    ] = DEFAULTS.engine,
) -> None:
    """Measure a model on labelled images: box, mask and boundary AP."""
    if out is not None:
        check_folder(out, "--out")
    for each in model or []:
        obtain(each, Console(stderr=True))
    names = None if heads is None else tuple(name.strip() for name in heads.split(","))
    config = EvalConfig(
        models=tuple(model or DEFAULTS.models),
        data=data,
        split=split,
        limit=limit,
        heads=names,
        out=out,
        resamples=bootstrap,
        sheet=sheet,
        engine=engine,
    )
    run(config, Console())
