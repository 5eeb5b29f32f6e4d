"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pointrend.structures.options import FULL_REFINEMENT, LARGEST_TILE, SMALLEST_TILE, Options

Engine = Annotated[
    str,
    typer.Option(
        help="The engine: eager (plain PyTorch), openvino, openvino-int8, bf16, cuda or detectron2; "
        "auto is the fastest on this CPU of those that keep the accuracy: openvino for one-stage models such as demo, "
        "openvino-int8 for the others if the CPU has VNNI; eager if their packages are not installed."
    ),
]
MODEL_HELP = (
    "demo, a published model ('pointrend weights list'), hf://OWNER/NAME\\[@REVISION], or a model folder. "
    "Downloaded if necessary."
)
Model = Annotated[str, typer.Option(help=MODEL_HELP)]
Server = Annotated[
    str | None,
    typer.Option(help="Use the server at this URL (http, https, grpc, grpcs) instead of loading a model."),
]
Token = Annotated[
    str | None, typer.Option(help="The server's token; found automatically for a server on this machine.")
]
Concurrency = Annotated[int, typer.Option(min=1, help="Concurrent requests to the server.")]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads of the model.")]
DEFAULTS = Options()
"""What a request gets that names no options; commands have the same defaults."""

Task = Annotated[str, typer.Option(help="instances, detection or semantic.")]
ScoreThreshold = Annotated[float, typer.Option(help="Minimum score, 0 to 1.")]
Categories = Annotated[str | None, typer.Option(help="Categories to keep: comma-separated names or ids.")]
Refinement = Annotated[int, typer.Option(help=f"Steps of point refinement, 0 to {FULL_REFINEMENT}.")]
Tiles = Annotated[
    int | None,
    typer.Option(
        help="Cut images that are wider or higher than this many pixels into overlapping tiles, to find small objects: "
        f"{SMALLEST_TILE} to {LARGEST_TILE}."
    ),
]
Zoom = Annotated[
    bool | None, typer.Option("--zoom", help="Look again at each large object, closer, and refine its mask further.")
]
Port = typer.Option(min=1024, max=65000)


def given(**options: Any) -> dict[str, Any]:
    """Options of a request by name, without those that the command line leaves out."""
    return {name: value for name, value in options.items() if value is not None}
