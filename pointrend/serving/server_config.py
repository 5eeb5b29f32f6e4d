"""What a ``config.properties`` says of a TorchServe, typed; keys that it lacks have TorchServe's own defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pointrend.errors import ConfigError
from pointrend.system import properties

PACKAGED = Path(__file__).with_name("config.properties")
"""The settings that ``pointrend up`` and the container start from."""

INFERENCE, MANAGEMENT, METRICS = "inference", "management", "metrics"
_DEFAULT_ADDRESSES = {
    INFERENCE: "http://127.0.0.1:8080",
    MANAGEMENT: "http://127.0.0.1:8081",
    METRICS: "http://127.0.0.1:8082",
}
KINDS = tuple(_DEFAULT_ADDRESSES)
_DEFAULT_BYTES = "6553500"


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """The settings of a TorchServe that what runs beside it depends on.

    Attributes:
        addresses: ``http://HOST:PORT`` or ``unix:PATH``, by :data:`INFERENCE`, :data:`MANAGEMENT` and :data:`METRICS`.
        models: names of the archives that it loads at its start, without ``.mar``.
        max_request_bytes: the largest request that it takes.
        max_response_bytes: the largest response that it sends.
        java_options: of its process.
        asks_token: whether requests need a token of its key file.
    """

    addresses: Mapping[str, str]
    models: tuple[str, ...]
    max_request_bytes: int
    max_response_bytes: int
    java_options: str
    asks_token: bool

    @classmethod
    def read(cls, path: Path = PACKAGED) -> ServerConfig:
        """Read a ``config.properties``.

        Raises:
            ConfigError: it cannot be read, or a value is not what its key takes; names the file and the key.
        """
        try:
            pairs = properties.parse(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
        names = (name.strip() for name in pairs.get("load_models", "").split(","))
        return cls(
            addresses={kind: pairs.get(f"{kind}_address", address) for kind, address in _DEFAULT_ADDRESSES.items()},
            models=tuple(name.removesuffix(".mar") for name in names if name),
            max_request_bytes=_bytes(path, pairs, "max_request_size"),
            max_response_bytes=_bytes(path, pairs, "max_response_size"),
            java_options=pairs.get("vmargs", ""),
            asks_token=pairs.get("disable_token_authorization", "false").lower() != "true",
        )


def _bytes(path: Path, pairs: Mapping[str, str], key: str) -> int:
    text = pairs.get(key, _DEFAULT_BYTES)
    if not (text.isascii() and text.isdigit()):
        raise ConfigError(f"{path}: {key} is {text!r}; it must be a whole number of bytes.")
    return int(text)
