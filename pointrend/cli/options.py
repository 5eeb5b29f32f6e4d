"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pointrend.structures.options import Options

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
        help="demo, a published model ('pointrend weights list'), hf://OWNER/NAME\\[@REVISION], or a model's folder. "
        "What is not here yet is pulled."
    ),
]
DEFAULTS = Options()
"""What a request gets that names no options; commands have the same defaults."""

Task = Annotated[str, typer.Option(help="instances, detection or semantic.")]
ScoreThreshold = Annotated[float, typer.Option(help="What is kept, from this score up.")]
Categories = Annotated[str | None, typer.Option(help="Names or ids to keep, separated by commas.")]
Port = typer.Option(min=1024, max=65000)


def given(**options: Any) -> dict[str, Any]:
    """Options of a request by name, without those that the command line leaves out."""
    return {name: value for name, value in options.items() if value is not None}
