"""``pointrend label-studio``."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from pointrend.cli.options import (
    DEFAULTS,
    Categories,
    Concurrency,
    Engine,
    Model,
    Port,
    Refinement,
    ScoreThreshold,
    Server,
    Threads,
    Tiles,
    Token,
    Zoom,
    given,
)
from pointrend.errors import ConfigError
from pointrend.predict.sources import local_source, server_source
from pointrend.structures.options import Options
from pointrend.system.environment import LABEL_STUDIO_KEY, LABEL_STUDIO_PASSWORD
from pointrend.system.extras import require_modules
from pointrend.system.loopback import is_loopback
from pointrend.weights.obtain import obtain

app = typer.Typer(add_completion=False)


@app.command()
def label_studio(
    url: Annotated[str, typer.Option(help="Label Studio's URL; photos are fetched from there.")] = (
        "http://localhost:8080"
    ),
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, Port] = 9090,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(help="Another origin that photos are fetched from, such as https://photos.example.org."),
    ] = None,
    model: Model = "demo",
    server: Server = None,
    token: Token = None,
    concurrency: Concurrency = 4,
    threads: Threads = None,
    engine: Engine = "auto",
    score_threshold: ScoreThreshold = DEFAULTS.score_threshold,
    categories: Categories = None,
    refinement: Refinement = DEFAULTS.refinement,
    tiles: Tiles = None,
    zoom: Zoom = DEFAULTS.zoom,
) -> None:
    """Serve a model to Label Studio, which labels photos with it, until Ctrl-C.

    Add http://localhost:9090 to a project under Settings, Model. LABEL_STUDIO_API_KEY is an access token of a user who
    may see the project's photos.
    """
    require_modules("pointrend label-studio", "starlette", "uvicorn", "httpx")
    from pointrend.integrations.label_studio.app import build
    from pointrend.integrations.label_studio.app import server as http_server
    from pointrend.integrations.label_studio.backend import Backend
    from pointrend.integrations.label_studio.photos import Photos

    password = LABEL_STUDIO_PASSWORD.read()
    if not password and not is_loopback(host):
        raise ConfigError(
            f"--host {host} is reached from elsewhere: set {LABEL_STUDIO_PASSWORD.name} to a password for it."
        )
    options = Options.parse(
        given(score_threshold=score_threshold, categories=categories, refinement=refinement, tiles=tiles, zoom=zoom)
    )
    if server is None:
        obtain(model, Console(stderr=True))
    source = local_source(model, threads, engine) if server is None else server_source(server, token, concurrency)
    with Photos(url, LABEL_STUDIO_KEY.read(), allow_origin or ()) as photos:
        names = [str(each["name"]) for each in source.categories]
        backend = Backend(source.segment, source.model, names, photos, options, 1 if server is None else concurrency)
        typer.echo(
            f"{backend.version} for Label Studio at {url}: add http://{host}:{port} under Settings, Model. "
            "Ctrl-C ends it."
        )
        http_server(build(backend, password), host, port).run()
