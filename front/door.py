"""The door: nginx before TorchServe and the page, configured for one run.

======================================  ==========================================================
``POST /predictions/NAME[/VERSION]``    the model: predictions, and its description
``/healthz``                            204 as long as the door stands
``/readyz``                             204 once the model and the page answer, as far as they are here
gRPC ``.../Predictions``                the model; no other call, since a streaming one can kill a worker
everything else                         the page where there is one, else 404
======================================  ==========================================================

What the door refuses, and what TorchServe answers without words of its own, is told in the project's error JSON.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

import requests
import yaml

import handler
from front.settings import Settings, is_loopback
from pointrend.errors import RequestError
from pointrend.processes import LaunchError, Service
from pointrend.torchserve import SETTINGS as SERVER_SETTINGS

START_SECONDS = 20.0
UPLOAD_MARGIN = 2**20  # the form around an uploaded photo
FORCED_SECONDS = 5.0  # for nginx to end by itself after its time to drain
SERVICE = "org.pytorch.serve.grpc.inference.InferenceAPIsService"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What a refusal says in its header beside its words.
_HEADERS = {
    401: ("WWW-Authenticate", "Bearer"),
    405: ("Allow", "POST"),
    429: ("Retry-After", 1),
    503: ("Retry-After", 2),
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What TorchServe takes; the door refuses the rest before it costs anything.

    Attributes:
        request_bytes: the largest request.
        image_bytes: the largest photo in it.
        requests: how many may be under way, waiting ones included.
        answer_seconds: how long an answer may take.
    """

    request_bytes: int
    image_bytes: int
    requests: int
    answer_seconds: int

    @classmethod
    def of_server(cls) -> Limits:
        """Those in ``config.properties`` and the model's ``model-config.yaml``."""
        lines = SERVER_SETTINGS.read_text().splitlines()
        properties = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
        model = yaml.safe_load((Path(handler.__path__[0]) / "model-config.yaml").read_text())
        return cls(
            request_bytes=int(properties["max_request_size"]),
            image_bytes=model["handler"]["max_image_bytes"],
            requests=model["jobQueueSize"] + model["batchSize"] * model["maxWorkers"],
            answer_seconds=model["responseTimeout"],
        )


@dataclass(frozen=True, slots=True)
class Upstreams:
    """Loopback ports behind the door."""

    rest: int
    grpc: int
    page: int


def refusals(limits: Limits, settings: Settings) -> dict[str, RequestError]:
    """What the door answers by itself, under the names that the configuration calls it by."""
    return {
        "bad_request": RequestError("The request is not HTTP as it should be.", code="invalid_request", status=400),
        "invalid_token": RequestError(
            "The secret is missing or wrong; send it as `Authorization: Bearer SECRET`.",
            field="token",
            code="invalid_token",
            status=401,
        ),
        "not_found": RequestError(
            "There is nothing here; a model answers at /predictions/NAME, and this one is called pointrend.",
            code="not_found",
            status=404,
        ),
        "model_not_found": RequestError(
            "No model of that name and version is served; this one is called pointrend.",
            field="model",
            code="model_not_found",
            status=404,
        ),
        "method_not_allowed": RequestError(
            "Only POST is answered here.", field="method", limit="POST", code="method_not_allowed", status=405
        ),
        "request_too_large": RequestError(
            f"The request is larger than {limits.request_bytes} bytes.",
            field="image",
            limit=limits.request_bytes,
            code="request_too_large",
            status=413,
        ),
        "rate_limited": RequestError(
            f"More than {settings.rate} requests a second came from this address; try again in a moment.",
            limit=settings.rate,
            code="rate_limited",
            status=429,
        ),
        "worker_died": RequestError(
            "The process of the model ended on this request; it is restarting.", code="worker_died", status=500
        ),
        "overloaded": RequestError(
            "The server is overloaded or still starting; try again in a moment.", code="overloaded", status=503
        ),
        "timeout": RequestError(
            f"The model did not answer within {limits.answer_seconds} s.",
            limit=limits.answer_seconds,
            code="timeout",
            status=504,
        ),
    }


def render(settings: Settings, upstreams: Upstreams, limits: Limits) -> str:
    """Write the configuration of nginx for one run; it holds the secrets."""
    values: dict[str, object] = {
        # As root, nginx would run as somebody who cannot enter its folder; as anyone else it cannot change.
        "user": "user root;" if os.getuid() == 0 else "",
        "host": settings.host,
        "port": settings.port,
        "grpc_port": settings.grpc_port,
        "rest_upstream": f"127.0.0.1:{upstreams.rest}",
        "grpc_upstream": f"127.0.0.1:{upstreams.grpc}",
        "page_upstream": f"127.0.0.1:{upstreams.page}",
        "service": SERVICE.replace(".", "\\."),
        "rate": settings.rate,
        "burst": 2 * settings.rate,
        "requests": limits.requests,
        "request_bytes": limits.request_bytes,
        "upload_bytes": limits.image_bytes + UPLOAD_MARGIN,
        # The server gives up first, and says so.
        "answer_seconds": limits.answer_seconds + 10,
        "drain_seconds": settings.drain_seconds,
        "trusted": "\n".join(f"  set_real_ip_from {network};" for network in settings.trusted_proxies),
        "tokens": _accepted(settings),
    }
    values |= {f"say_{name}": _location(name, error) for name, error in refusals(limits, settings).items()}
    values["health"] = "model" if settings.serves_model else "page"
    values["and_then"] = "@page_too" if settings.serves_model and settings.serves_page else "=204"
    values["api"] = _fill("nginx-api.conf", values) if settings.serves_api else "location /predictions/ { return 404; }"
    values["page"] = _fill("nginx-page.conf", values) if settings.serves_page else "location / { return 404; }"
    values["grpc"] = _fill("nginx-grpc.conf", values) if settings.serves_api and settings.grpc_port else ""
    return _fill("nginx.conf", values)


class Door(Service):
    """nginx, configured for one run.

    Args:
        settings: of the container.
        upstreams: the ports behind it.
        limits: of the server.
        relay: whether its log goes to this process' output.

    Raises:
        LaunchError: nginx is not installed.
    """

    def __init__(self, settings: Settings, upstreams: Upstreams, limits: Limits, *, relay: bool = False) -> None:
        shown = "127.0.0.1" if settings.host == "0.0.0.0" else settings.host.replace("[::]", "[::1]")
        self.url = f"http://{shown}:{settings.port}"
        self.grpc_port = settings.grpc_port
        program = shutil.which("nginx", path=_PATH)
        if program is None:
            raise LaunchError("nginx is not installed; on Debian: apt-get install nginx-light.")
        configuration = render(settings, upstreams, limits)
        folder = Path(tempfile.mkdtemp(prefix="pointrend-door-"))  # mode 0700: the configuration holds the secrets
        (folder / "empty").mkdir()
        (folder / "nginx.conf").write_text(configuration)
        command = [program, "-p", str(folder), "-e", "stderr", "-c", "nginx.conf"]
        super().__init__("nginx", command, folder, {"PATH": _PATH}, relay=relay)
        self._patience = settings.drain_seconds + FORCED_SECONDS

    def wait_ready(self) -> None:
        """Return when the door stands.

        Raises:
            LaunchError: nginx ended, or nothing answered in time.
        """
        self.wait_until(lambda: self._answers("/healthz"), START_SECONDS)

    def stop(self) -> None:
        """Take no new requests, let those in flight finish, and end."""
        self._group.stop(signal.SIGQUIT, self._patience)
        shutil.rmtree(self._folder, ignore_errors=True)

    def model_answers(self) -> bool:
        """Whether what is behind the door is ready."""
        return self._answers("/readyz")

    def _answers(self, path: str) -> bool:
        try:
            return bool(requests.get(self.url + path, timeout=15).status_code == 204)
        except requests.RequestException:
            return False


class _Parts(Template):
    delimiter = "@@"  # nginx has $ for itself


def _fill(file: str, values: Mapping[str, object]) -> str:
    """Fill in a template of this package."""
    return _Parts(Path(__file__).with_name(file).read_text()).substitute(values)


def _location(name: str, error: RequestError) -> str:
    """A named location of nginx that answers an error."""
    header = ""
    if error.status in _HEADERS:
        field, value = _HEADERS[error.status]
        header = f"add_header {field} {value} always; "
    place = f"= /-/{name} {{ internal;" if error.status == 400 else f"@{name} {{"
    return f"location {place} {header}return {error.status} '{json.dumps(error.to_dict())}\\n'; }}"


def _accepted(settings: Settings) -> str:
    """The lines of nginx's map that accept a secret; as expressions, because plain strings ignore case there."""
    if not settings.tokens:
        return f"    default {int(is_loopback(settings.host))};"
    lines = [f'    "~^(?i:bearer) +{re.escape(token)}$" 1;' for token in settings.tokens]
    return "\n".join(["    default 0;", *lines])
