"""nginx before the gateway, gRPC and the page, configured for one run; it runs in the container.

======================================  ==========================================================
``POST /predictions/NAME[/VERSION]``    the gateway: predictions, and the model's description
``/v2/...``                             the gateway: the Open Inference Protocol; its health needs no secret
``/healthz``                            204 as long as nginx stands
``/readyz``                             204 once the model and the page answer, as far as they are here
gRPC ``.../Predictions``                TorchServe; no other call, since a streaming one can kill a worker
gRPC ``inference.GRPCInferenceService`` the gateway: the Open Inference Protocol, with the secret for every call
everything else                         the page where there is one, else 404
======================================  ==========================================================

nginx asks for the secret and limits how often an address asks; the gateway judges the requests themselves. What nginx
refuses is told in the project's error JSON.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from string import Template

from gateway.config import ContainerConfig
from gateway.grpc_services import OPEN_INFERENCE, TORCHSERVE
from gateway.limits import ServerLimits
from gateway.refusals import (
    bad_request,
    body_of,
    headers_of,
    method_not_allowed,
    not_found,
    overloaded,
    request_too_large,
    timeout,
)
from pointrend.errors import ImageTooLarge, RequestError
from pointrend.serving.supervisor import Probe
from pointrend.system.http_probe import ask
from pointrend.system.loopback import is_loopback
from pointrend.system.processes import LaunchError
from pointrend.system.service import Service

START_SECONDS = 20.0
UPLOAD_MARGIN = 2**20  # the form around an uploaded image
FORCED_SECONDS = 5.0  # for nginx to end by itself after its time to drain
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What nginx finds before it knows a path has none of its own, which a named location would need.
_BEFORE_ANY_PATH = ("bad_request", "line_too_long", "headers_too_long")


@dataclass(frozen=True, slots=True)
class Upstreams:
    """Loopback ports behind nginx.

    Attributes:
        gateway: for REST.
        grpc: of TorchServe; None where another server runs the models.
        page: of the page.
        open_inference: of the gateway, for the Open Inference Protocol over gRPC.
    """

    gateway: int
    grpc: int | None
    page: int
    open_inference: int | None = None


def refusals(limits: ServerLimits, config: ContainerConfig) -> dict[str, RequestError]:
    """What nginx answers by itself, under the names that its configuration calls it by."""
    return {
        "bad_request": bad_request(),
        "line_too_long": bad_request("The request's path is too long.", 414),
        "headers_too_long": bad_request("The request's headers are too long.", 431),
        "invalid_token": RequestError(
            "The secret is missing or wrong; send it as `Authorization: Bearer SECRET`.",
            field="token",
            code="invalid_token",
            status=401,
        ),
        "not_found": not_found(),
        "method_not_allowed": method_not_allowed("POST"),
        "probe_method_not_allowed": method_not_allowed("GET, HEAD"),
        "page_method_not_allowed": method_not_allowed("GET, HEAD, POST"),
        "request_too_large": request_too_large(limits.request_bytes),
        "upload_too_large": ImageTooLarge(
            f"The image is larger than {limits.image_bytes} bytes.", field="image", limit=limits.image_bytes
        ),
        "rate_limited": RequestError(
            f"More than {config.rate} requests a second came from this address, or {limits.requests} at a time; try "
            "again in a moment.",
            limit=config.rate,
            code="rate_limited",
            status=429,
        ),
        "overloaded": overloaded(),
        "timeout": timeout(limits.answer_seconds),
    }


def render(config: ContainerConfig, upstreams: Upstreams, limits: ServerLimits) -> str:
    """Write the configuration of nginx for one run; it holds the secrets."""
    values: dict[str, object] = {
        # As root, nginx would run as somebody who cannot enter its folder; as anyone else it cannot change.
        "user": "user root;" if os.getuid() == 0 else "",
        "host": config.host,
        "port": config.port,
        "grpc_port": config.grpc_port,
        "gateway": f"127.0.0.1:{upstreams.gateway}",
        "page_upstream": f"127.0.0.1:{upstreams.page}",
        "rate": config.rate,
        "burst": 2 * config.rate,
        "requests": limits.requests,
        "request_bytes": limits.request_bytes,
        "upload_bytes": limits.image_bytes + UPLOAD_MARGIN,
        # The server gives up first, and says so.
        "answer_seconds": limits.answer_seconds + 10,
        "drain_seconds": config.drain_seconds,
        "trusted": "\n".join(f"  set_real_ip_from {network};" for network in config.trusted_proxies),
        "tokens": _accepted(config),
        "methods": "POST|OPTIONS" if config.origins else "POST",
        "origins": "\n".join(f'    "~^{re.escape(origin)}$" $http_origin;' for origin in config.origins),
    }
    said = refusals(limits, config)
    values |= {f"say_{name}": _location(name, error) for name, error in said.items()}
    values |= {f"say_v2_{name}": _location(f"v2_{name}", error, "/v2") for name, error in said.items()}
    values["readiness"] = _fill("nginx-ready.conf" if config.serves_model else "nginx-ready-page.conf", values)
    apis = ("nginx-api.conf", "nginx-open-inference.conf")
    closed = "location /predictions/ { return 404; } location ~ ^/v2(/|$) { return 404; }"
    values["api"] = "\n    ".join(_fill(file, values) for file in apis) if config.serves_api else closed
    values["page"] = _fill("nginx-page.conf", values) if config.serves_page else "location / { return 404; }"
    values["grpc"] = _grpc(values, upstreams) if config.serves_api and config.grpc_port else ""
    return _fill("nginx.conf", values)


class Nginx(Service):
    """nginx, configured for one run.

    Args:
        config: of the container.
        upstreams: the ports behind it.
        limits: of TorchServe and the model.
        relay: whether its log goes to this process' output.

    Raises:
        LaunchError: nginx is not installed.
    """

    def __init__(
        self, config: ContainerConfig, upstreams: Upstreams, limits: ServerLimits, *, relay: bool = False
    ) -> None:
        shown = "127.0.0.1" if config.host == "0.0.0.0" else config.host.replace("[::]", "[::1]")
        self.url = f"http://{shown}:{config.port}"
        self.grpc_port = config.grpc_port
        program = shutil.which("nginx", path=_PATH)
        if program is None:
            raise LaunchError("nginx is not installed; on Debian: apt-get install nginx-light.")
        text = render(config, upstreams, limits)
        folder = Path(tempfile.mkdtemp(prefix="pointrend-nginx-"))  # mode 0700: the configuration holds the secrets
        (folder / "empty").mkdir()
        (folder / "nginx.conf").write_text(text)
        command = [program, "-p", str(folder), "-e", "stderr", "-c", "nginx.conf"]
        super().__init__("nginx", command, folder, {"PATH": _PATH}, relay=relay)
        self._patience = config.drain_seconds + FORCED_SECONDS

    def wait_ready(self) -> None:
        """Return when nginx stands.

        Raises:
            LaunchError: nginx ended, or nothing answered in time.
        """
        self.wait_until(lambda: self._answers("/healthz"), START_SECONDS)

    def stop(self) -> None:
        """Take no new requests, let those in flight finish, and end."""
        self._group.stop(signal.SIGQUIT, self._patience)
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def probes(self) -> Sequence[Probe]:
        """None: an nginx that runs answers, and what is behind it has probes of its own."""
        return ()

    def _answers(self, path: str) -> bool:
        try:
            return ask(self.url, path, seconds=15).status == HTTPStatus.NO_CONTENT
        except OSError:
            return False


def _grpc(values: Mapping[str, object], upstreams: Upstreams) -> str:
    """The server for gRPC, with those services that something behind nginx has."""
    known, filled = [], []
    for service, port in ((TORCHSERVE, upstreams.grpc), (OPEN_INFERENCE, upstreams.open_inference)):
        if port is not None:
            known.append(f"{service.name} has {', '.join(service.calls)}")
            calls = {"service": re.escape(service.name), "calls": "|".join(service.calls)}
            filled.append(_fill("nginx-grpc-service.conf", {**values, **calls, "upstream": f"127.0.0.1:{port}"}))
    return _fill("nginx-grpc.conf", {**values, "services": "\n".join(filled), "known_calls": "; ".join(known)})


class _Parts(Template):
    delimiter = "@@"  # nginx has $ for itself


def _fill(file: str, values: Mapping[str, object]) -> str:
    """Fill in a template of this package."""
    return _Parts(Path(__file__).with_name(file).read_text()).substitute(values)


def _location(name: str, error: RequestError, path: str = "") -> str:
    """A location of nginx that answers an error, in the form of the API at ``path``."""
    added = {**headers_of(error), "Access-Control-Allow-Origin": "$cors_origin"}  # an empty one is left out
    headers = "".join(f"add_header {field} {value!r} always; " for field, value in added.items())
    place = f"= /-/{name} {{ internal;" if name in _BEFORE_ANY_PATH else f"@{name} {{"
    body = body_of(error, path).decode().replace("'", "\\'")
    return f"location {place} {headers}return {error.status} '{body}'; }}"


def _accepted(config: ContainerConfig) -> str:
    """The lines of nginx's map that accept a secret; as expressions, because plain strings ignore case there."""
    if not config.tokens:
        return f"    default {int(is_loopback(config.host))};"
    lines = [f'    "~^(?i:bearer) +{re.escape(token)}$" 1;' for token in config.tokens]
    return "\n".join(["    default 0;", *lines])
