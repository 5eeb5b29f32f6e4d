"""Run a server and its page once, for what the image's start is quicker with: ``python warm.py STORE``.

That is the bytecode of the modules that run, and of no others, and Java's cache of what its start loads and links
(see :mod:`pointrend.serving.torchserve_starter`). Both are the user's who may write to the installed packages.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
from gradio_client import Client as PageClient
from gradio_client import handle_file

from gradio_app.examples import EXAMPLES
from pointrend.client import Client
from pointrend.engines import AUTO, EAGER
from pointrend.serving.archive import ARCHIVE_NAME
from pointrend.serving.asgi import AsgiServer, ModelFiles
from pointrend.serving.gateway_process import Gateway
from pointrend.serving.page_process import Page
from pointrend.serving.server_config import ServerConfig
from pointrend.serving.torchserve import Ports, TorchServe
from pointrend.serving.torchserve_starter import java_cache
from pointrend.system.processes import free_ports

PHOTO = EXAMPLES[0].path
# What sends spans, where a collector is configured
SPANS = ("gateway.telemetry", "opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http.trace_exporter")
# What a container runs besides: the launchers and the health check.
PROGRAMS = ("gateway.__main__", "gateway.health", "pointrend.cli.main", "pointrend.cli.up", *SPANS)


def main(store: Path) -> None:
    """Run everything, with each engine that the store's model has.

    Raises:
        SystemExit: Java made no cache.
    """
    options = ServerConfig.read().java_options
    cache = java_cache()
    run_torchserve(store, EAGER, {})
    run_torchserve(store, AUTO, {"vmargs": f"{options} -XX:AOTCacheOutput={cache}"})
    run_asgi(store, AUTO)
    # -P: of what is installed, not of the sources in the working directory.
    subprocess.run([sys.executable, "-P", "-c", f"import {', '.join(PROGRAMS)}"], check=True)
    if not cache.is_file():
        sys.exit(f"warm: Java wrote no {cache}.")
    print(f"warm: {cache} has {cache.stat().st_size / 2**20:.0f} MiB")


def run_torchserve(store: Path, engine: str, settings: dict[str, str]) -> None:
    """Run TorchServe with an engine, and the page; ask for a little of everything, and stop both."""
    ports, rpc = Ports(*free_ports(6)), free_ports(1)[0]
    with (
        TorchServe(store, ports, settings, private=True, engine=engine, relay=True) as server,
        Gateway(server, ports.inference, ["--grpc-port", str(rpc)], relay=True) as gateway,
        Page(gateway.url, ports.page, relay=True) as page,
    ):
        for service in (gateway, server, page):
            service.wait_ready()
        ask(gateway.url)
        httpx.get(page.url).raise_for_status()
        PageClient(page.url, verbose=False).predict(photo=handle_file(str(PHOTO)), api_name="/segment")


def run_asgi(store: Path, engine: str) -> None:
    """The same with the server without Java."""
    port, rpc = free_ports(2)
    models = {ARCHIVE_NAME: ModelFiles(store / f"{ARCHIVE_NAME}.mar")}
    with AsgiServer(models, port, ["--grpc-port", str(rpc)], engine=engine, relay=True) as server:
        server.wait_ready()
        ask(server.url)


def ask(url: str) -> None:
    """Ask a server for each kind of answer."""
    with Client(url) as client:
        client.describe()
        for masks in ("rle", "polygon"):
            client.segment(PHOTO, masks=masks)
    headers = {"Accept": "image/png", "Content-Type": "image/jpeg"}
    httpx.post(f"{url}/predictions/{ARCHIVE_NAME}", content=PHOTO.read_bytes(), headers=headers, timeout=60)


if __name__ == "__main__":
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # for the processes that it starts
    main(Path(sys.argv[1]))
