"""What the container is told by environment variables: one table, read once."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from gateway.origins import ALLOW_ORIGINS, IMAGE_ORIGINS, read_image_origins, read_origins
from pointrend.engines import AUTO, EAGER, OPENVINO, OPENVINO_INT8, VARIABLE
from pointrend.errors import ConfigError, PointRendError
from pointrend.serving.backends import ASGI, NAMES, TORCHSERVE
from pointrend.serving.workers import Workers, choose
from pointrend.system.environment import Variable
from pointrend.system.loopback import is_loopback

ALL, SERVER, PAGE = "all", "server", "page"
ROLES = (ALL, SERVER, PAGE)
SHORTEST_TOKEN = 16
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+", re.ASCII)  # what RFC 6750 lets a bearer token be


class VariableError(PointRendError):
    """A variable that keeps the container from starting; one sentence names it."""


WORKERS = "POINTREND_WORKERS"
ENGINES = (AUTO, EAGER, OPENVINO, OPENVINO_INT8)
VARIABLES = (
    Variable("POINTREND_ROLE", ALL, "What this container runs: `server`, the model; `page`, the page; `all`, both."),
    Variable("POINTREND_HOST", "127.0.0.1", "The address to listen on; the image sets 0.0.0.0."),
    Variable("PORT", "", "The port of REST and the page; by default 8080 for a server, 7860 otherwise."),
    Variable(
        "POINTREND_GRPC_PORT",
        "7070",
        "The port of gRPC, TorchServe's and the Open Inference Protocol's; 0 turns gRPC off.",
    ),
    Variable("POINTREND_TOKEN", "", "The secret that callers send as `Authorization: Bearer`; 16 characters or more."),
    Variable(
        "POINTREND_TOKEN_FILE",
        "",
        "A file with one or more secrets, one per line, so that a secret can be rotated without downtime.",
    ),
    Variable(
        "POINTREND_MODEL", "", "The model to serve, as for `pointrend up --model`; by default the one in the store."
    ),
    Variable(
        "POINTREND_STORE", "", "A folder with `pointrend.mar`, as `pointrend archive` makes it; the image has one."
    ),
    Variable(
        VARIABLE,
        "",
        "`auto`, `eager`, `openvino` or `openvino-int8`; by default what the archive says, and `auto` in the image.",
    ),
    Variable(
        "POINTREND_BACKEND",
        TORCHSERVE,
        "What runs the model: `torchserve`, or `asgi`, without Java and without TorchServe's gRPC; the slim image has "
        "`asgi` alone.",
    ),
    Variable(
        WORKERS,
        "",
        "Processes that predict at the same time, sharing the cores; by default one for every 4, as memory allows.",
    ),
    Variable("POINTREND_SERVER", "", "The server's URL; required for the role `page`."),
    Variable(
        "POINTREND_RATE",
        "10",
        "Requests per second allowed for one address; bursts of up to twice as many are allowed.",
    ),
    Variable(
        "POINTREND_TRUSTED_PROXIES",
        "",
        "Networks of the proxies whose `X-Forwarded-For` is trusted, separated by commas.",
    ),
    ALLOW_ORIGINS,
    IMAGE_ORIGINS,
    Variable("POINTREND_DRAIN_SECONDS", "25", "Seconds that requests in flight may still take after SIGTERM."),
)


@dataclass(frozen=True, slots=True)
class ContainerConfig:
    """The container's configuration, checked.

    Attributes:
        role: one of :data:`ROLES`.
        host: the address to listen on.
        port: for REST and the page.
        grpc_port: for gRPC, None where it is off.
        tokens: any of them opens the API; none is needed on loopback alone.
        model: a model's name, address or folder; empty for the one in the store.
        store: the folder with the archive, where there is one.
        engine: one of :data:`ENGINES`; None for what the archive says.
        backend: what runs the model: one of :data:`pointrend.serving.backends.NAMES`.
        workers: that run the model.
        server: where the page asks, for :data:`PAGE`.
        rate: requests a second for one address.
        trusted_proxies: networks in CIDR notation.
        origins: whose pages may call the API from a browser.
        drain_seconds: patience with requests in flight.
    """

    role: str
    host: str
    port: int
    grpc_port: int | None
    tokens: tuple[str, ...]
    model: str
    store: Path | None
    engine: str | None
    backend: str
    workers: Workers
    server: str
    rate: int
    trusted_proxies: tuple[str, ...]
    origins: tuple[str, ...]
    drain_seconds: int

    @property
    def serves_model(self) -> bool:
        """Whether TorchServe runs here."""
        return self.role in (ALL, SERVER)

    @property
    def serves_page(self) -> bool:
        """Whether the page runs here."""
        return self.role in (ALL, PAGE)

    @property
    def serves_api(self) -> bool:
        """Whether callers reach the model: never from elsewhere without a secret."""
        return self.serves_model and (bool(self.tokens) or is_loopback(self.host))

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> ContainerConfig:
        """Read and check the variables.

        Raises:
            VariableError: one is out of range, a file cannot be read, or the role lacks something.
        """
        values = {each.name: each.read(environment) for each in VARIABLES}
        role = values["POINTREND_ROLE"]
        if role not in ROLES:
            raise VariableError(f"POINTREND_ROLE is {role!r}; it may be {', '.join(ROLES)}.")
        backend = values["POINTREND_BACKEND"]
        if backend not in NAMES:
            raise VariableError(f"POINTREND_BACKEND is {backend!r}; it may be {', '.join(NAMES)}.")
        if role != PAGE and backend == TORCHSERVE and find_spec("ts") is None:
            raise VariableError(
                f"POINTREND_BACKEND is {backend!r}, and TorchServe is not installed here: this may be the slim image. "
                f"Set it to {ASGI!r}, or run the full image."
            )
        config = cls(
            role=role,
            host=_host(values["POINTREND_HOST"]),
            port=_number(values | {"PORT": values["PORT"] or ("8080" if role == SERVER else "7860")}, "PORT", 1, 65535),
            grpc_port=_number(values, "POINTREND_GRPC_PORT", 0, 65535) or None,
            tokens=_tokens(values["POINTREND_TOKEN"], values["POINTREND_TOKEN_FILE"]),
            model=values["POINTREND_MODEL"],
            store=Path(values["POINTREND_STORE"]) if values["POINTREND_STORE"] else None,
            engine=_engine(values[VARIABLE]),
            backend=backend,
            workers=_workers(values[WORKERS]),
            server=values["POINTREND_SERVER"],
            rate=_number(values, "POINTREND_RATE", 1, 100_000),
            trusted_proxies=tuple(map(_network, filter(None, values["POINTREND_TRUSTED_PROXIES"].split(",")))),
            origins=_origins(values[ALLOW_ORIGINS.name]),
            drain_seconds=_number(values, "POINTREND_DRAIN_SECONDS", 0, 3600),
        )
        _check_image_origins(values[IMAGE_ORIGINS.name])
        if role == SERVER and not config.serves_api:
            raise VariableError(
                f"The server would listen on {config.host} for everyone: set POINTREND_TOKEN or "
                "POINTREND_TOKEN_FILE to a secret that callers send as `Authorization: Bearer`."
            )
        if role == PAGE and not config.server:
            raise VariableError("The page needs POINTREND_SERVER, the URL of its server.")
        if config.grpc_port == config.port:
            raise VariableError(f"PORT and POINTREND_GRPC_PORT are both {config.port}.")
        return config


def _engine(text: str) -> str | None:
    if text and text not in ENGINES:
        raise VariableError(f"{VARIABLE} is {text!r}; it may be {', '.join(ENGINES)}.")
    return text or None


def _workers(text: str) -> Workers:
    try:
        return choose(int(text) if text else None)
    except ValueError:
        raise VariableError(f"{WORKERS} is {text!r}; it must be a whole number, or empty.") from None
    except ConfigError as error:
        raise VariableError(f"{WORKERS}: {error}") from error


def _host(text: str) -> str:
    """The address as nginx writes it: IPv6 in brackets."""
    try:
        address = ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        raise VariableError(f"POINTREND_HOST is {text!r}, which is not an IP address.") from None
    return f"[{address}]" if address.version == 6 else str(address)


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text.strip()))
    except ValueError:
        raise VariableError(f"POINTREND_TRUSTED_PROXIES names {text!r}, not a network such as 10.0.0.0/8.") from None


def _origins(text: str) -> tuple[str, ...]:
    try:
        return tuple(sorted(read_origins([text])))
    except ConfigError as error:
        raise VariableError(f"{ALLOW_ORIGINS.name}: {error}") from error


def _check_image_origins(text: str) -> None:
    """The gateway reads the variable itself."""
    try:
        read_image_origins(text)
    except ConfigError as error:
        raise VariableError(f"{IMAGE_ORIGINS.name}: {error}") from error


def _number(values: Mapping[str, str], name: str, least: int, most: int) -> int:
    text = values[name]
    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        raise VariableError(f"{name} is {text!r}; it may be {least} to {most}.")
    return int(text)


def _tokens(given: str, file: str) -> tuple[str, ...]:
    """The secrets; no message repeats one."""
    if given and file:
        raise VariableError("POINTREND_TOKEN and POINTREND_TOKEN_FILE are both set; remove one.")
    tokens, source = ([given] if given else []), "POINTREND_TOKEN"
    if file:
        source = f"POINTREND_TOKEN_FILE ({file})"
        try:
            tokens = [line.strip() for line in Path(file).read_text().splitlines() if line.strip()]
        except (OSError, UnicodeDecodeError) as error:
            raise VariableError(f"{source} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
        if not tokens:
            raise VariableError(f"{source} is empty.")
    for token in tokens:
        if len(token) < SHORTEST_TOKEN:
            raise VariableError(f"{source} holds a secret of {len(token)} characters; {SHORTEST_TOKEN} are needed.")
        if not _TOKEN.fullmatch(token):
            raise VariableError(f"{source} holds a secret with other characters than letters, digits and ._~+/=-")
    return tuple(tokens)
