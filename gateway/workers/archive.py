"""What a worker loads: a model's archive, or its folder, and the settings that go with it.

An archive's code is never run: its model and its settings are data, and the code is the server's own.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from handler.config import MODEL_CONFIG, ModelConfig
from pointrend.errors import ConfigError
from pointrend.serving.workers import SINGLE
from pointrend.weights.folder import ModelFolder

_MODEL = "model"
_CONFIG = MODEL_CONFIG.name
_OWN = ("engine", "workers", "threads", "waiting")


@dataclass(frozen=True, slots=True)
class ModelSource:
    """One model of the server.

    Attributes:
        name: which requests name it by.
        version: of the model.
        file: the archive's or the folder's own name.
        folder: that a worker loads.
        shared: a folder for what its workers share, theirs alone.
        config_file: how it runs, as YAML.
        config: the same, read.
        engine: what computes its network.
        workers: processes that run it.
        threads: of each; None for one for each core that it may use.
        waiting: requests that wait while all workers are busy.
    """

    name: str
    version: str
    file: str
    folder: Path
    shared: Path
    config_file: Path
    config: ModelConfig
    engine: str
    workers: int
    threads: int | None
    waiting: int


def read_table(table: Path, scratch: Path, engine: str | None = None) -> list[ModelSource]:
    """Read which models to serve, and unpack those that are archives.

    The table is JSON: ``{"pointrend": {"path": "/store/pointrend.mar"}}``. Beside ``path`` there may be ``engine``,
    ``workers``, ``threads`` and ``waiting``. The engine goes before ``handler.engine`` of the archive's
    ``model-config.yaml``; ``handler.threads`` of that goes before the threads here, as with TorchServe.

    Args:
        table: the file.
        scratch: receives what is unpacked, and what workers share; a folder of its own for each model.
        engine: for all models, before the table's and the archives' own.

    Raises:
        ConfigError: the table or a model cannot be read; names the file.
    """
    try:
        tree = json.loads(table.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{table} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    if not isinstance(tree, dict) or not tree:
        raise ConfigError(f'{table} must name models: {{"pointrend": {{"path": "pointrend.mar"}}}}.')
    return [
        _read(table, name, entry, scratch / str(number), engine) for number, (name, entry) in enumerate(tree.items())
    ]


def _read(table: Path, name: str, entry: Any, scratch: Path, engine: str | None) -> ModelSource:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("path"), str) or set(entry) - {"path", *_OWN}:
        raise ConfigError(f"{table}: {name} must be an object with `path`, and of {', '.join(_OWN)} what differs.")
    for key in _OWN[1:]:
        value = entry.get(key, 1)
        if type(value) is not int or value < 1:
            raise ConfigError(f"{table}: {key} of {name} is {value!r:.100}; it must be a whole number of at least 1.")
    path = (table.parent / entry["path"]).resolve()
    scratch.mkdir(parents=True, exist_ok=True)
    place = path
    if not path.is_dir():
        place = scratch
        _unpack(path, place)
    config_file = place / _CONFIG if (place / _CONFIG).is_file() else MODEL_CONFIG
    config = ModelConfig.read(config_file)
    folder = ModelFolder.open(place / _MODEL if (place / _MODEL).is_dir() else place)
    return ModelSource(
        name,
        folder.info.version,
        path.name,
        folder.path,
        scratch,
        config_file,
        config,
        engine=engine or entry.get("engine") or config.handler.engine,
        workers=entry.get("workers", SINGLE.count),
        threads=config.handler.threads or entry.get("threads"),
        waiting=entry.get("waiting", SINGLE.waiting),
    )


def _unpack(archive: Path, place: Path) -> None:
    """Unpack an archive's model and settings; its code stays where it is."""
    try:
        with zipfile.ZipFile(archive) as file:
            for member in file.infolist():
                parts = PurePosixPath(member.filename).parts
                if not member.is_dir() and ".." not in parts and (parts == (_CONFIG,) or parts[:1] == (_MODEL,)):
                    file.extract(member, place)
    except (OSError, zipfile.BadZipFile) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{archive} is no archive of a model: {reason}.") from error
    if not (place / _MODEL).is_dir():
        raise ConfigError(f"{archive} holds no model; `pointrend archive` makes one that does.")
