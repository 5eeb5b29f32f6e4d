"""``python -m gradio_app``: the page alone, for servers that run already."""

from __future__ import annotations

from typing import Annotated

import typer

from gradio_app.app import launch
from gradio_app.image_tab import KEPT_SECONDS
from gradio_app.servers import Server
from gradio_app.upload_limits import MIB, UploadLimits
from pointrend.errors import PointRendError


def main(
    server: Annotated[
        list[str] | None,
        typer.Option(
            help="Where a model is served: URL or LABEL=URL, with /predictions/NAME behind it where the model is not "
            "called pointrend. Repeat it to offer a choice. [default: http://127.0.0.1:8080]"
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 7860,
    upload_mib: Annotated[
        int, typer.Option(min=32, help="Disk space for uploads in MiB; results take about as much again.")
    ] = 128,
    mcp: Annotated[bool, typer.Option(help="Also serve the API as MCP tools; needs the extra mcp.")] = False,
) -> None:
    """Serve the page."""
    try:
        servers = [Server.parse(text) for text in server or ["http://127.0.0.1:8080"]]
        limits = UploadLimits(folder_bytes=upload_mib * MIB, kept_seconds=KEPT_SECONDS)
        launch(servers, host=host, port=port, mcp=mcp, limits=limits)
    except PointRendError as error:
        raise typer.BadParameter(str(error)) from error


if __name__ == "__main__":
    typer.run(main)
