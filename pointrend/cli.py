"""The command line: ``pointrend up | predict | batch | archive | weights | train | eval | bench``."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from pointrend.errors import PointRendError
from pointrend.weights.commands import app as weights
from pointrend.weights.commands import obtain

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False)

app.add_typer(weights, name="weights")

Engine = Annotated[
    str,
    typer.Option(
        help="What computes the network: eager (plain PyTorch), openvino, openvino-int8, bf16, cuda or detectron2; "
        "auto takes openvino-int8 where it is installed and the processor has VNNI, and otherwise eager."
    ),
]
Model = Annotated[
    str,
    typer.Option(
        help="demo, a published model (`pointrend weights list`), hf://OWNER/NAME\\[@REVISION], or a model's folder. "
        "What is not here yet is pulled."
    ),
]
Port = typer.Option(min=1024, max=65000)


@app.command()
def up(
    model: Model = "demo",
    also: Annotated[
        list[str] | None, typer.Option(help="Another model to serve beside it, under its own name; may be repeated.")
    ] = None,
    port: Annotated[int, Port] = 7860,
    server_port: Annotated[int, Port] = 8080,
    page: Annotated[bool, typer.Option(help="Open the page too, beside the server.")] = True,
    mcp: Annotated[bool, typer.Option(help="Let language models use the page's functions (extra mcp).")] = False,
    engine: Engine = "auto",
) -> None:
    """Serve a model with TorchServe and open the page, until Ctrl-C.

    The server takes server-port, and two ports for gRPC (7070 and 7071, shifted alike).
    """
    from pointrend.launcher import up as launch
    from pointrend.torchserve import Ports

    launch(model, Ports.beside(server_port, port), page=page, mcp=mcp, also=also or (), engine=engine)


@app.command()
def archive(
    model: Model = "demo",
    destination: Annotated[Path, typer.Option(help="The folder that receives NAME.mar.")] = Path("model_store"),
    name: Annotated[str, typer.Option(help="Under which it is served.")] = "pointrend",
    engine: Engine = "auto",
    calibrate: Annotated[
        Path | None,
        typer.Option(help="A folder of photos that openvino-int8 is calibrated with. \\[default: examples]"),
    ] = None,
) -> None:
    """Build a self-contained TorchServe archive of a model."""
    from handler.archive import build
    from pointrend.engines import resolve

    folder = obtain(model, Console(stderr=True))
    resolve(engine, folder.network)
    path = build(folder.path, destination, name, engine=engine, calibrate=calibrate)
    typer.echo(f"{path}: {path.stat().st_size / 2**20:.1f} MiB")


@app.command("eval")
def evaluate(
    data: Annotated[Path, typer.Option(help="Labelled photos: instances_SPLIT.json in COCO's format, and images/.")],
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="demo, a published model, hf://OWNER/NAME, or a model's folder. Repeat it for cross-validation: the "
            "models that were trained with --fold 1/N to N/N, in this order, each judge the photos that they did not "
            "learn from. \\[default: demo]"
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="Which part of the data.")] = "val",
    limit: Annotated[int | None, typer.Option(help="So many photos only, taken evenly from all.")] = None,
    heads: Annotated[str | None, typer.Option(help="Of refined, coarse, conv; all that the model has.")] = None,
    out: Annotated[Path | None, typer.Option(help="A folder for the report and the contact sheet.")] = None,
    bootstrap: Annotated[int, typer.Option(help="Resamples that the intervals come from.")] = 1000,
    sheet: Annotated[int, typer.Option(help="Photos on the contact sheet.")] = 20,
    engine: Annotated[
        str, typer.Option(help="What computes the network: eager, openvino, openvino-int8, bf16 or cuda.")
    ] = "eager",
) -> None:
    """Measure a model on labelled photos: COCO's box and mask AP, and boundary AP of each mask head."""
    from pointrend.evaluation.run import Settings
    from pointrend.evaluation.run import evaluate as run

    for each in model or []:
        obtain(each, Console(stderr=True))
    names = None if heads is None else tuple(name.strip() for name in heads.split(","))
    run(Settings(tuple(model or ["demo"]), data, split, limit, names, out, bootstrap, sheet, engine), Console())


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
    workers: Annotated[int, typer.Option(help="Processes that prepare photos.", min=0, max=64)] = 1,
    seed: Annotated[int, typer.Option(help="Of everything random.", min=0)] = 0,
    save_every: Annotated[str, typer.Option(help="How often the state is saved: what a kill may cost.")] = "45s",
    fold: Annotated[
        str | None, typer.Option(help="Leave out this part of the photos, such as 2/3, for cross-validation.")
    ] = None,
    split: Annotated[str, typer.Option(help="Which annotations: instances_SPLIT.json.")] = "train",
    resume: Annotated[
        Path | None, typer.Option(help="Go on from another machine's resume.safetensors, in a new --out folder.")
    ] = None,
) -> None:
    """Train or fine-tune a PointRend; run again after a kill, it has lost less than a minute."""
    from pointrend.folds import Fold
    from pointrend.training.budget import Budget, seconds
    from pointrend.training.run import train as run_training

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


@app.command()
def predict(
    photos: Annotated[list[str], typer.Argument(help="Photos, folders and globs.")],
    out: Annotated[Path, typer.Option(help="The folder that receives the results; a run that was cut goes on in it.")],
    save: Annotated[str, typer.Option(help="Of coco, labelme, yolo, png, overlay, cutouts.")] = "coco",
    model: Model = "demo",
    server: Annotated[
        str | None, typer.Option(help="Ask the server at this URL (http, https, grpc, grpcs); no model is loaded here.")
    ] = None,
    token: Annotated[str | None, typer.Option(help="For a server that asks for one; found for one of here.")] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Requests to a server at a time.")] = 4,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads of a model that is loaded here.")] = None,
    engine: Engine = "auto",
    task: Annotated[str, typer.Option(help="instances, detection or semantic.")] = "instances",
    score_threshold: Annotated[float, typer.Option(help="What is kept, from this score up.")] = 0.5,
    max_detections: Annotated[int, typer.Option(help="The best so many of a photo.")] = 100,
    categories: Annotated[str | None, typer.Option(help="Names or ids to keep, separated by commas.")] = None,
    refinement: Annotated[int, typer.Option(help="Steps of point refinement, 0 to 4.")] = 4,
    exact: Annotated[bool, typer.Option(help="Refine small objects as far as large ones.")] = False,
) -> None:
    """Predict many photos and save what was found, each format in a folder of its own.

    What is done is not done again. A photo that fails is passed over and reported at the end; then the exit status
    is 1.
    """
    from pointrend.options import Options
    from pointrend.predict import Job, find_photos, result_folders, run
    from pointrend.predict.sources import local_source, server_source

    asked = {
        "task": task,
        "score_threshold": score_threshold,
        "max_detections": max_detections,
        "refinement": refinement,
        "exact": exact,
    }
    options = Options.parse(asked if categories is None else {**asked, "categories": categories})
    names = tuple(dict.fromkeys(name.strip() for name in save.split(",") if name.strip()))
    job = Job(find_photos(photos, outside=result_folders(out)), out, names, options)
    if server is None:
        obtain(model, Console(stderr=True))
    source = local_source(model, threads, engine) if server is None else server_source(server, token, concurrency)
    outcome = run(job, source)

    typer.echo(f"{outcome.predicted} predicted, {outcome.kept} done before, {len(outcome.failures)} failed: {out}")
    for failure in outcome.failures:
        typer.echo(f"{failure.photo.path}: {failure.reason}", err=True)
    if outcome.failures:
        raise typer.Exit(1)


@app.command()
def batch(
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help="A folder of photos, or its URL (s3://..., gs://...).")
    ],
    output: Annotated[str, typer.Argument(help="The folder of the results, or its URL; a run that was cut goes on.")],
    model: Model = "demo",
    form: Annotated[str, typer.Option(help="parquet, or jsonl: COCO's fields, one photo a line.")] = "parquet",
    workers: Annotated[int, typer.Option(min=1, help="Processes with a model each, over all machines.")] = 1,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of each.")] = 1,
    engine: Engine = "auto",
    shard_size: Annotated[int, typer.Option(min=1, help="Photos a part: what a failure may cost to do again.")] = 256,
    address: Annotated[str | None, typer.Option(help="Of a Ray cluster; without it, this machine alone.")] = None,
    task: Annotated[str, typer.Option(help="instances, detection or semantic.")] = "instances",
    score_threshold: Annotated[float, typer.Option(help="What is kept, from this score up.")] = 0.5,
    categories: Annotated[str | None, typer.Option(help="Names or ids to keep, separated by commas.")] = None,
) -> None:
    """Segment millions of photos on Ray: sharded, and resumed after a kill. Photos that fail are listed beside."""
    from pointrend.batch.plan import FORMS, Plan
    from pointrend.batch.run import run, settings_for

    if form not in FORMS:
        raise typer.BadParameter(f"{form!r} is not {' or '.join(FORMS)}.", param_hint="--form")
    obtain(model, Console(stderr=True))
    asked = {"task": task, "score_threshold": score_threshold}
    options = asked if categories is None else {**asked, "categories": categories}
    plan = Plan.open(settings_for(source, model, engine, options, form, shard_size), output)
    outcome = run(plan, workers, threads, address)
    rate = (outcome.done + outcome.failed) / outcome.seconds
    typer.echo(
        f"{outcome.done} done ({rate:.1f} a second), {outcome.failed} failed, {outcome.kept} done before: {output}"
    )


@app.command()
def bench(
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="demo, a published model, hf://OWNER/NAME, a folder, or random:NAME, that published network with "
            "random weights."
        ),
    ] = None,
    engine: Annotated[
        list[str] | None, typer.Option(help="Repeat it for several; without it, all that run here.")
    ] = None,
    side: Annotated[list[int] | None, typer.Option(min=32, max=4096, help="Photos' shorter edge.")] = None,
    instances: Annotated[list[int] | None, typer.Option(min=1, max=1000, help="Masks that are drawn.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Of each.")] = 5,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Of each engine. \\[default: this machine's cores]")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="A file that receives the tables, and beside it a .png.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="A file that receives every single figure.")] = None,
) -> None:
    """Measure what a photo costs: stages, engines, sizes and instances, side by side."""
    import torch
    from rich.markdown import Markdown

    from pointrend.bench import report
    from pointrend.bench.run import ENGINES, Settings, run

    for each in model or []:
        if not each.startswith("random:"):
            obtain(each, Console(stderr=True))
    settings = Settings(
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


def main() -> None:
    """Run the command line; errors that this project raises on purpose are shown as a sentence, not a traceback."""
    try:
        app()
    except PointRendError as error:
        _fail(str(error))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        _fail(f"The disk is full ({error.filename or 'no space left'}). Free some space and try again.")


def _fail(message: str) -> NoReturn:
    Console(stderr=True, soft_wrap=True).print(f"[bold red]pointrend:[/] {escape(message)}", highlight=False)
    raise SystemExit(1)
