"""The command line's ``pointrend weights``: published models and the user's own checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from pointrend.errors import ConfigError
from pointrend.system.outputs import check_folder
from pointrend.weights import cache, zoo
from pointrend.weights.folder import ModelFolder, read_info
from pointrend.weights.hub import store
from pointrend.weights.hub.address import HubAddress, is_address
from pointrend.weights.obtain import pull_showing_progress
from pointrend.weights.pull import source

app = typer.Typer(add_completion=False, help="List, pull, convert and publish models.")

Name = Annotated[
    str,
    typer.Argument(help="A published model, as 'pointrend weights list' names it, or hf://OWNER/NAME\\[@REVISION]."),
]


@app.command("list")
def list_models() -> None:
    """List published models and downloaded models of the Hugging Face Hub."""
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
    kept = store.kept_models()
    if kept:
        hub = Table(box=None, pad_edge=False)
        for heading in ("of the Hugging Face Hub", "commit"):
            hub.add_column(heading, overflow="fold")
        for one in kept:
            hub.add_row("\n".join(map(str, one.pinned_by)) or str(one.address), one.address.revision)
        console.print()
        console.print(hub)
    console.print(
        "\n'pointrend weights pull NAME' downloads one, 'info NAME' describes it. 'demo' comes with the package."
    )


@app.command()
def info(name: Name) -> None:
    """Show details of a published or downloaded model."""
    if is_address(name):
        _show(_hub_rows(HubAddress.parse(name)))
        return
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
    if cache.is_cached(name):
        rows["sha256"] = source(cache.model_path(name))["sha256"]
    _show(rows)


@app.command()
def pull(
    name: Name,
    force: Annotated[
        bool,
        typer.Option(help="Download and convert it again; from the Hugging Face Hub, the revision's newest commit."),
    ] = False,
    sha256: Annotated[
        str | None,
        typer.Option(help="Required SHA-256 of the published file. \\[default: check the 6 digits in its name]"),
    ] = None,
) -> None:
    """Download a model, verify it and store it as a model folder."""
    folder = pull_showing_progress(name, Console(), force=force, sha256=sha256)
    typer.echo(f"{folder.path}: {folder.info.name}, {len(folder.info.categories)} categories")


@app.command()
def push(
    model: Annotated[str, typer.Argument(metavar="FOLDER", help="A model folder or a model's name.")],
    to: Annotated[str, typer.Argument(metavar="ADDRESS", help="hf://OWNER/NAME; created if missing.")],
    private: Annotated[bool, typer.Option("--private", help="Create a private repository.")] = False,
    revision: Annotated[str | None, typer.Option(help="A branch; created if missing. \\[default: main]")] = None,
    message: Annotated[
        str | None, typer.Option(help="Commit message. \\[default: the model's name and version]")
    ] = None,
) -> None:
    """Publish a model folder on the Hugging Face Hub, in one commit."""
    from pointrend.weights.hub.push import push as push_model  # huggingface_hub, of the extra hub

    address = HubAddress.parse(to)
    if revision is not None:
        if address.revision not in (None, revision):
            raise ConfigError(f"{address} names one branch, and --revision {revision!r} another.")
        address = HubAddress.parse(f"{address.at(None)}@{revision}")
    with Console(stderr=True).status(f"Checking the model, and uploading it to {address}"):
        pushed = push_model(model, address, private=private, message=message)
    kind = "private" if pushed.private else "public"
    typer.echo(f"{pushed.url} ({kind})" if pushed.changed else f"Nothing has changed since {pushed.url} ({kind}).")
    typer.echo(f"Use it: pointrend up --model {address}, or, always this commit, --model {pushed.address}")


@app.command()
def remove(
    address: Annotated[str, typer.Argument(help="hf://OWNER/NAME\\[@REVISION], as 'pointrend weights list' shows it.")],
) -> None:
    """Delete a downloaded model of the Hugging Face Hub."""
    parsed = HubAddress.parse(address)
    typer.echo(f"Removed {parsed.at(store.remove(parsed))} from the cache.")


@app.command()
def convert(
    checkpoint: Annotated[
        Path, typer.Argument(help="A detectron2 checkpoint: .pkl, .pth, .pt, .ckpt, .bin or .safetensors.")
    ],
    config: Annotated[Path, typer.Argument(help="Its configuration, a YAML file.")],
    info: Annotated[Path, typer.Argument(help="A model.json: name, version and categories.")],
    destination: Annotated[Path, typer.Argument(help="The model folder to write.")],
    half: Annotated[bool, typer.Option(help="Store the weights in half precision.")] = False,
    part: Annotated[
        str | None, typer.Option(help="Which weights of the checkpoint to use if it has several, such as model_ema.")
    ] = None,
    config_root: Annotated[
        Path | None, typer.Option(help="Folder that _BASE_ may refer to. \\[default: the configuration's own]")
    ] = None,
) -> None:
    """Convert a detectron2 checkpoint to a model folder."""
    from pointrend.weights.convert import convert as convert_checkpoint  # PyTorch, which listing does without

    check_folder(destination, "DESTINATION")
    folder = convert_checkpoint(
        checkpoint,
        config,
        destination,
        read_info(info),
        half=half,
        part=part,
        config_root=config_root,
        note=typer.echo,
    )
    typer.echo(f"{folder.path}: {folder.info.name}, {len(folder.info.categories)} categories")


def _hub_rows(address: HubAddress) -> dict[str, str]:
    """What is known of a kept model of the Hub: its manifest and its model.json."""
    folder = ModelFolder.open(str(address))
    origin = source(folder.path)
    return {
        "model": f"{folder.info.name} {folder.info.version}",
        "description": folder.info.description,
        "categories": ", ".join(category.name for category in folder.info.categories),
        "licence": folder.info.licence,
        "address": f"{origin['hub']}/{origin['repository']}",
        "commit": origin["commit"],
        "here": str(folder.path),
    }


def _show(rows: dict[str, str]) -> None:
    for key, value in rows.items():
        typer.echo(f"{key:<14}{value}")
