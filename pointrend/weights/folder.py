"""A model folder: weights, configuration and what the model says of itself. Reading one imports no torch.

A folder holds ``model.safetensors``, ``config.yaml`` (detectron2's keys), ``model.json`` and usually
``MODEL_CARD.md``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pointrend.config import AnyConfig, InstanceConfig, NetworkConfig, OneStageConfig, SemanticConfig, read_config
from pointrend.errors import CheckpointError, ConfigError

PACKAGED = ("demo",)  # folders beside this file
WEIGHTS = "model.safetensors"
CONFIG = "config.yaml"
INFO = "model.json"
CARD = "MODEL_CARD.md"


@dataclass(frozen=True, slots=True)
class Category:
    """What an instance may be: its id in the dataset (COCO's person is 1), and its name."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What a model says of itself, as ``model.json`` holds it.

    Attributes:
        name: of the model, such as ``pointrend-demo``.
        version: of its weights, such as ``0.1``.
        categories: in the order of the network's outputs.
        reliable: names of those categories that the model finds well enough to be of use.
        description: one or two sentences.
        licence: on what terms the weights may be used.
    """

    name: str
    version: str
    categories: tuple[Category, ...]
    reliable: tuple[str, ...] = ()
    description: str = ""
    licence: str = ""

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> ModelInfo:
        """Read the content of ``model.json``.

        Raises:
            ConfigError: a field is missing or has the wrong type, a category comes twice, or a reliable one is unknown.
        """
        categories = tuple(_category(item) for item in _list(tree, "categories"))
        names = [category.name for category in categories]
        _refuse_repeated("name", names)
        _refuse_repeated("id", [category.id for category in categories])
        reliable = tuple(_list(tree, "reliable") if "reliable" in tree else ())
        unknown = [name for name in reliable if name not in names]
        if unknown:
            raise ConfigError(f"reliable names {unknown[0]!r}, which is not among the categories.")
        return cls(
            name=_text(tree, "name"),
            version=_text(tree, "version"),
            categories=categories,
            reliable=reliable,
            description=_text(tree, "description", default=""),
            licence=_text(tree, "licence", default=""),
        )

    def to_dict(self) -> dict[str, Any]:
        """The content of ``model.json``; :meth:`from_dict` reads it."""
        return {
            "name": self.name,
            "version": self.version,
            "description": self.description,
            "licence": self.licence,
            "categories": [{"id": category.id, "name": category.name} for category in self.categories],
            "reliable": list(self.reliable),
        }


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A complete model folder.

    Attributes:
        path: the folder.
        info: its ``model.json``.
        network: its ``config.yaml``.
    """

    path: Path
    info: ModelInfo
    network: AnyConfig

    @property
    def config(self) -> InstanceConfig:
        """The configuration of a model that finds instances.

        Raises:
            ConfigError: the model is a semantic one.
        """
        if isinstance(self.network, SemanticConfig):
            raise ConfigError(f"{self.info.name} is a semantic model; it finds no instances, which are needed here.")
        return self.network

    @property
    def weights(self) -> Path:
        """The file of the weights."""
        return self.path / WEIGHTS

    @classmethod
    def open(cls, name_or_path: str | Path) -> ModelFolder:
        """Open a model that comes with the package or was pulled, by its name or address, or any other, by its folder.

        Raises:
            ConfigError: there is no such model, or it has not been pulled, or ``model.json`` or ``config.yaml`` is
                missing, malformed, or speaks of different numbers of categories.
            CheckpointError: the file of the weights is missing, or a pulled model has changed since.
        """
        path = _locate(name_or_path)
        info = read_info(path / INFO)
        config = read_config(path / CONFIG)
        check_categories(info, config, path)
        if not (path / WEIGHTS).is_file():
            raise CheckpointError(f"{path} lacks its weights, {WEIGHTS}.")
        return cls(path, info, config)


def check_categories(info: ModelInfo, config: NetworkConfig, where: Path) -> None:
    """Check that a model names exactly the classes that its network has.

    Raises:
        ConfigError: it does not.
    """
    head = "ROI_HEADS"
    if isinstance(config, SemanticConfig | OneStageConfig):
        head = "SEM_SEG_HEAD" if isinstance(config, SemanticConfig) else "GFL_HEAD"
    if len(info.categories) != config.num_classes:
        raise ConfigError(
            f"{where}: {INFO} has {len(info.categories)} categories, "
            f"but MODEL.{head}.NUM_CLASSES is {config.num_classes}."
        )


def _locate(name_or_path: str | Path) -> Path:
    if name_or_path in PACKAGED:
        return Path(__file__).parent / str(name_or_path)
    # Modules that know this one.
    from pointrend.weights import cache, zoo
    from pointrend.weights.hub import store
    from pointrend.weights.hub.address import FORM, HubAddress, is_address

    name = str(name_or_path)
    if is_address(name):
        return store.locate(HubAddress.parse(name))
    path = Path(name_or_path).expanduser()
    if path.is_dir():
        return path.resolve()
    if name not in zoo.names():
        raise ConfigError(
            f"There is no model {name!r}: it is neither a folder, nor the name of a model that comes with the package "
            f"({', '.join(PACKAGED)}), nor that of a published one ({', '.join(zoo.names())}), nor an address on the "
            f"Hugging Face Hub ({FORM})."
        )
    if not cache.is_cached(name):
        raise ConfigError(
            f"The published model {name!r} is not in {cache.home()} yet. Get it with: pointrend weights pull {name}"
        )
    cache.check_manifest(cache.model_path(name), name)
    return cache.model_path(name)


def read_info(path: Path) -> ModelInfo:
    """Read a ``model.json``.

    Raises:
        ConfigError: it is missing, not JSON, or lacks something; the message names the file.
    """
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(tree, dict):
            raise ConfigError(f"it must hold an object, not a {type(tree).__name__}.")
        return ModelInfo.from_dict(tree)
    except FileNotFoundError as error:
        raise ConfigError(f"{path.parent} is no model folder: it lacks {path.name}.") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: is not JSON: {error}.") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _text(tree: Mapping[str, Any], key: str, default: str | None = None) -> str:
    value = tree.get(key, default)
    if not isinstance(value, str) or not (value or default is not None):
        raise ConfigError(f"{key} must be text, not {value!r:.100}.")
    return value


def _list(tree: Mapping[str, Any], key: str) -> list[Any]:
    value = tree.get(key)
    if not isinstance(value, list):
        raise ConfigError(f"{key} must be a list, not {value!r:.100}.")
    return value


def _refuse_repeated(kind: str, values: Sequence[object]) -> None:
    for index, value in enumerate(values):
        if value in values[:index]:
            raise ConfigError(f"categories has the {kind} {value!r} more than once.")


def _category(item: Any) -> Category:
    number, name = (item.get("id"), item.get("name")) if isinstance(item, dict) else (None, None)
    if type(number) is not int or not isinstance(name, str) or not name:
        raise ConfigError(f'a category must be like {{"id": 1, "name": "person"}}, not {item!r:.100}.')
    return Category(number, name)
