"""``pointrend up``."""

from __future__ import annotations

from typing import Annotated

import typer

from pointrend.cli.options import Engine, Model, Port
from pointrend.serving.backends import ASGI, TORCHSERVE
from pointrend.serving.torchserve import Ports
from pointrend.serving.up import up as launch
from pointrend.system.extras import require_modules

app = typer.Typer(add_completion=False)


@app.command()
def up(
    model: Model = "demo",
    also: Annotated[
        list[str] | None, typer.Option(help="Another model to serve under its own name; may be repeated.")
    ] = None,
    port: Annotated[int, Port] = 7860,
    server_port: Annotated[int, Port] = 8080,
    page: Annotated[bool, typer.Option(help="Also start the web page.")] = True,
    mcp: Annotated[bool, typer.Option(help="Offer the page's functions over MCP (extra mcp).")] = False,
    engine: Engine = "auto",
    server: Annotated[str, typer.Option(help="torchserve, or asgi: without Java and TorchServe's gRPC.")] = TORCHSERVE,
    workers: Annotated[
        int | None,
        typer.Option(help="Processes that predict at the same time, sharing the cores; one for every 4 by default."),
    ] = None,
) -> None:
    """Serve a model and open the page, until Ctrl-C.

    The server uses --server-port; TorchServe two ports for gRPC as well: 7070 and 7071, shifted by as much as the
    server's port.
    """
    needed = () if server == ASGI else ("ts", "model_archiver")
    require_modules("pointrend up", *needed, "uvicorn", "starlette", "python_multipart", "httpx")  # the gateway's
    if page:
        require_modules("pointrend up with its page", "gradio")
    launch(
        model,
        Ports.beside(server_port, port),
        page=page,
        mcp=mcp,
        also=also or (),
        engine=engine,
        server=server,
        workers=workers,
    )
