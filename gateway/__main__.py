"""``python -m gateway``: what the container runs, configured by environment variables; see ``gateway/config.py``."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

from gateway import store
from gateway.config import ContainerConfig
from gateway.limits import ServerLimits
from gateway.nginx import Nginx, Upstreams
from pointrend.errors import PointRendError
from pointrend.serving.archive import ARCHIVE_NAME
from pointrend.serving.asgi import AsgiServer, ModelFiles
from pointrend.serving.backends import ASGI
from pointrend.serving.gateway_process import Gateway
from pointrend.serving.page_process import Page
from pointrend.serving.server_config import ServerConfig
from pointrend.serving.supervisor import Limit, Supervisor
from pointrend.serving.torchserve import Ports, TorchServe
from pointrend.system.processes import free_ports
from pointrend.system.stop_signals import StopSignals

LOG_SETTINGS = Path(__file__).with_name("log4j2.xml")
JAVA_OPTIONS = f"{ServerConfig.read().java_options} -Dlog4j.configurationFile={LOG_SETTINGS.as_uri()}"
# TorchServe breaks off without a word what is too large; by REST the gateway says so before, by gRPC nginx.
SERVER_SETTINGS = {"vmargs": JAVA_OPTIONS}
# What ends or hangs ends the container: whoever runs it starts another, counts that, and looks after its limits.
NO_RESTARTS = Limit(restarts=0)

_Service = Nginx | TorchServe | Gateway | AsgiServer | Page


def main(environment: Mapping[str, str]) -> None:
    """Run the container's services until SIGTERM.

    Raises:
        PointRendError: a setting is wrong, or a service failed; nothing is left running.
    """
    config = ContainerConfig.read(environment)
    with StopSignals(), ExitStack() as stack:
        _serve(config, stack)
    _say("Stopped.")


def _serve(config: ContainerConfig, stack: ExitStack) -> None:
    started = time.monotonic()
    *for_torchserve, free = free_ports(7)
    ports, is_asgi = Ports(*for_torchserve), config.backend == ASGI
    open_inference = free if _offers_open_inference(config) else None
    upstreams = Upstreams(ports.inference, None if is_asgi else ports.grpc_inference, ports.page, open_inference)
    services: list[_Service] = []
    # nginx ends first: it lets what is in flight finish while everything behind it still runs.
    stack.callback(_stop, services)
    # It also stands first: platforms look for an open port long before the model can answer.
    nginx = Nginx(config, upstreams, ServerLimits.read(config.workers), relay=True)
    services.append(nginx)
    nginx.wait_ready()
    server_url = config.server
    if config.serves_model:
        folder = store.prepare(config, stack, _say)
        options = _gateway_options(config, ports, open_inference)
        start = _start_asgi if is_asgi else _start_torchserve
        server_url = start(config, folder, ports, options, services)
        if not config.serves_api:
            _say("The API is closed: POINTREND_TOKEN or POINTREND_TOKEN_FILE opens it.")
    if config.serves_page:
        asks_elsewhere = bool(config.tokens) and not config.serves_model
        key_file = _key_file(config.tokens[0], stack) if asks_elsewhere else None
        services.append(Page(server_url, ports.page, key_file=key_file, relay=True))
    # They start side by side: the page needs no server until somebody opens it.
    for service in services[1:]:
        service.wait_ready()
    with_workers = f" with {config.workers}" if config.serves_model else ""
    _say(f"Ready after {time.monotonic() - started:.0f} s at {nginx.url}, as {config.role}{with_workers}.")
    with Supervisor(services, _say, limit=NO_RESTARTS) as supervisor:
        supervisor.wait()


def _start_torchserve(
    config: ContainerConfig, folder: Path, ports: Ports, options: Sequence[str], services: list[_Service]
) -> str:
    """TorchServe and the gateway before it; the URL."""
    server = TorchServe(
        folder, ports, SERVER_SETTINGS, private=True, engine=config.engine, workers=config.workers, relay=True
    )
    services.append(server)
    gateway = Gateway(server, ports.inference, options, relay=True)
    services.append(gateway)
    return gateway.url


def _start_asgi(
    config: ContainerConfig, folder: Path, ports: Ports, options: Sequence[str], services: list[_Service]
) -> str:
    """The gateway with workers of its own; the URL."""
    files = {ARCHIVE_NAME: ModelFiles(folder / store.FILE, workers=config.workers)}
    server = AsgiServer(files, ports.inference, options, engine=config.engine, relay=True)
    services.append(server)
    return server.url


def _offers_open_inference(config: ContainerConfig) -> bool:
    """Whether the Open Inference Protocol is reached by gRPC, which needs grpcio; the images have it."""
    if config.grpc_port is None or not config.serves_api:
        return False
    if find_spec("grpc") is None:
        _say("The Open Inference Protocol is answered by REST alone: grpcio is not installed.")
        return False
    return True


def _gateway_options(config: ContainerConfig, ports: Ports, grpc_port: int | None) -> list[str]:
    """Callers prove themselves by the secret where there is one, and need no name of loopback's then."""
    options = ["--proxied"]
    if config.tokens:
        options += ["--any-host"]
    if config.serves_page:
        options += ["--page", ports.page_url]
    if grpc_port is not None:
        options += ["--grpc-port", str(grpc_port)]
    return options


def _stop(services: list[_Service]) -> None:
    for service in services[:1] + services[:0:-1]:
        service.stop()


def _key_file(token: str, stack: ExitStack) -> Path:
    """The secret in the form that the page's client reads, so that it shows in no environment and no command line."""
    path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pointrend-key-"))) / "key_file.json"
    keys = {"inference": {"key": token, "expiration time": "9999-12-30T00:00:00Z"}, "API": {"key": ""}}
    path.write_text(json.dumps(keys))
    return path


def _say(message: str) -> None:
    print(f"pointrend: {message}", flush=True)


if __name__ == "__main__":
    try:
        main(os.environ)
    except PointRendError as error:
        sys.exit(f"pointrend: {error}")
