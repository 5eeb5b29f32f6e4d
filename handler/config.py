"""``model-config.yaml``, typed: how TorchServe runs the model, and the handler's own settings in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from pointrend.engines import EAGER
from pointrend.errors import ConfigError
from pointrend.images.limits import ImageLimits

MODEL_CONFIG = Path(__file__).with_name("model-config.yaml")
_IMAGE = ImageLimits()


@dataclass(frozen=True, slots=True)
class HandlerConfig:
    """The key ``handler`` of ``model-config.yaml``; each setting is optional, and its metadata is its documentation."""

    engine: str = field(
        default=EAGER, metadata={"help": "What computes the network, see docs/engines.md; `pointrend archive` sets it."}
    )
    threads: int | None = field(
        default=None,
        metadata={"help": "Threads per prediction; by default the worker's share of the cores that it may use."},
    )
    max_image_bytes: int = field(
        default=_IMAGE.max_bytes, metadata={"help": "The largest image file; a larger one is answered with 413."}
    )
    max_image_pixels: int = field(
        default=_IMAGE.max_pixels, metadata={"help": "Its largest width times height; checked before it is decoded."}
    )
    max_image_side: int = field(default=_IMAGE.max_side, metadata={"help": "Its largest width and height, in pixels."})
    max_image_memory: int = field(
        default=_IMAGE.max_memory,
        metadata={"help": "Bytes of memory that decoding it may take, by its size, format, mode and metadata."},
    )
    max_tiles: int = field(
        default=100,
        metadata={
            "help": "Tiles that the option `tiles` may cut an image into. Together they must take less time than "
            "`responseTimeout`."
        },
    )
    max_response_bytes: int = field(
        default=41_000_000,
        metadata={
            "help": "The largest response body. Keep it below `max_response_size` of config.properties: TorchServe "
            "restarts the worker beyond that."
        },
    )

    @classmethod
    def read(cls, tree: object) -> HandlerConfig:
        """Check the settings as YAML gives them; None stands for no settings.

        >>> HandlerConfig.read({"threads": 2}).threads
        2

        Raises:
            ConfigError: a key is unknown, or its value is of another type or below 1; names the key.
        """
        if not isinstance(tree, Mapping | None):
            raise ConfigError(f"handler is {tree!r:.100}; it must hold settings by their names.")
        known = {each.name for each in fields(cls)}
        values: dict[str, Any] = dict(tree or {})
        for name, value in values.items():
            if name not in known:
                raise ConfigError(f"handler.{name} is not a setting of the handler. Known: {', '.join(sorted(known))}.")
            if name == "engine":
                if not isinstance(value, str):
                    raise ConfigError(f"handler.engine is {value!r:.100}; it must be an engine's name.")
            elif not (name == "threads" and value is None):
                _require_whole_number(f"handler.{name}", value)
        return cls(**values)

    @property
    def image_limits(self) -> ImageLimits:
        """The limits of an image."""
        return ImageLimits(self.max_image_bytes, self.max_image_pixels, self.max_image_side, self.max_image_memory)


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """What of ``model-config.yaml`` others than TorchServe depend on.

    Attributes:
        response_seconds: after which a worker that has not answered is restarted.
        startup_seconds: within which a worker has to load the model.
        handler: the handler's own settings.
    """

    response_seconds: int
    startup_seconds: int
    handler: HandlerConfig

    @classmethod
    def read(cls, path: Path = MODEL_CONFIG) -> ModelConfig:
        """Read the file.

        Raises:
            ConfigError: it is no YAML of that form; names the file and the key.
        """
        try:
            tree = yaml.safe_load(path.read_text(encoding="utf-8"))
            if not isinstance(tree, dict):
                raise ConfigError("it holds no settings.")
            return cls(
                response_seconds=_require_whole_number("responseTimeout", tree.get("responseTimeout")),
                startup_seconds=_require_whole_number("startupTimeout", tree.get("startupTimeout")),
                handler=HandlerConfig.read(tree.get("handler")),
            )
        except (OSError, ValueError, yaml.YAMLError, ConfigError) as error:
            raise ConfigError(f"{path}: {error}") from error


def _require_whole_number(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigError(f"{name} is {value!r:.100}; it must be a whole number of at least 1.")
    return value
