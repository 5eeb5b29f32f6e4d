"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

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
Port = typer.Option(min=1024, max=65000)
