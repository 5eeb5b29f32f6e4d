"""``python -m gradio_app``: the page alone, for a server that runs already."""

from __future__ import annotations

from typing import Annotated

import typer

from gradio_app.app import launch


def main(
    server: Annotated[str, typer.Option(help="Where TorchServe answers.")] = "http://127.0.0.1:8080",
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 7860,
    model: Annotated[str, typer.Option(help="The served model's name or folder, to say what it finds.")] = "demo",
) -> None:
    """Serve the page."""
    launch(server, host=host, port=port, model=model)


if __name__ == "__main__":
    typer.run(main)
