"""``pointrend bench``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.markdown import Markdown

from pointrend.bench import report
from pointrend.bench.run import ENGINES, BenchConfig, run
from pointrend.system.outputs import check_file
from pointrend.weights.obtain import obtain

app = typer.Typer(add_completion=False)


@app.command()
def bench(
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="demo, a published model, hf://OWNER/NAME, a folder, or random:NAME, a published network with "
            "random weights."
        ),
    ] = None,
    engine: Annotated[
        list[str] | None, typer.Option(help="An engine; may be repeated. By default all that are available.")
    ] = None,
    side: Annotated[
        list[int] | None, typer.Option(min=32, max=4096, help="Shorter side of the images in pixels; may be repeated.")
    ] = None,
    instances: Annotated[
        list[int] | None, typer.Option(min=1, max=1000, help="Number of masks; may be repeated.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds per measurement.")] = 5,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads per engine. \\[default: the number of cores]")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Write the tables to this file, and a plot to a .png next to it.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write all measurements to this file, as JSON.")] = None,
) -> None:
    """Measure speed: stages, engines, image sizes and numbers of instances."""
    for option, path in (("--json", json), ("--markdown", markdown)):
        if path is not None:
            check_file(path, option)
    for each in model or []:
        if not each.startswith("random:"):
            obtain(each, Console(stderr=True))
    settings = BenchConfig(
        models=tuple(model or ["demo", "random:coco-r50-3x"]),
        engines=tuple(engine or ENGINES),
        sides=tuple(side or [480, 800]),
        counts=tuple(instances or [1, 10, 50, 100]),
        rounds=rounds,
        threads=threads or torch.get_num_threads(),
    )
    console = Console()
    results = run(settings, console)
    text = report.markdown(results)
    console.print(Markdown(text))
    if json is not None:
        json.write_text(report.to_json(results), encoding="utf-8")
    if markdown is not None:
        markdown.write_text(text, encoding="utf-8")
        report.plot(results, markdown.with_suffix(".png"), settings.counts[min(1, len(settings.counts) - 1)])
