"""A model folder: weights, configuration and what the model says of itself. Reading one imports no torch.

A folder holds ``model.safetensors``, ``config.yaml`` (detectron2's keys), ``model.json`` and usually
``MODEL_CARD.md``.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pointrend.config import AnyConfig, InstanceConfig, NetworkConfig, OneStageConfig, SemanticConfig, read_config
from pointrend.config_text import read_json
from pointrend.errors import CheckpointError, ConfigError

PACKAGED = ("demo",)  # folders beside this file
WEIGHTS = "model.safetensors"
SUFFIXES = (".ckpt", ".bin", ".pkl", ".pth", ".pt", ".safetensors")  # of weights, in any case
CONFIG = "config.yaml"
INFO = "model.json"
CARD = "MODEL_CARD.md"
LONGEST_TEXT = 10_000  # characters
LONGEST_NAME = 200  # of a category
MOST_CATEGORIES = 10_000  # as of MODEL.ROI_HEADS.NUM_CLASSES
LARGEST_ID = 2**31 - 1


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
        """The file of the weights: ``model.safetensors``, or else the only file with one of :data:`SUFFIXES`.

        Raises:
            CheckpointError: there is none, or there are several.
        """
        if (self.path / WEIGHTS).exists():
            return self.path / WEIGHTS
        found = sorted(path for path in self.path.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
        if not found:
            raise CheckpointError(f"{self.path} lacks its weights, {WEIGHTS}, or one file of {', '.join(SUFFIXES)}.")
        if len(found) > 1:
            names = ", ".join(path.name for path in found[:10])
            raise CheckpointError(
                f"{self.path} has {len(found)} files of weights, {names}: keep one, or make {WEIGHTS} of one with "
                "`pointrend weights convert`."
            )
        return found[0]

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
        folder = cls(path, info, config)
        if not folder.weights.is_file():
            raise CheckpointError(f"{folder.weights} is no regular file.")
        return folder


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
    path = Path(os.path.expanduser(name_or_path))  # which leaves a user that there is not as it is
    if os.path.isdir(path):  # which knows no name that is too long to ask for
        return path.resolve()
    if name not in zoo.names():
        raise ConfigError(
            f"There is no model {name!r:.200}: it is neither a folder, nor the name of a model that comes with the "
            f"package ({', '.join(PACKAGED)}), nor that of a published one ({', '.join(zoo.names())}), nor an address "
            f"on the Hugging Face Hub ({FORM})."
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
    if not path.exists():
        raise ConfigError(f"{path.parent} is no model folder: it lacks {path.name}.")
    try:
        tree, _ = read_json(path)
        if not isinstance(tree, dict):
            raise ConfigError(f"it must hold an object, not a {type(tree).__name__}.")
        return ModelInfo.from_dict(tree)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _text(tree: Mapping[str, Any], key: str, default: str | None = None) -> str:
    value = tree.get(key, default)
    if not isinstance(value, str) or not (value or default is not None):
        raise ConfigError(f"{key} must be text, not {value!r:.100}.")
    if not _is_plain(value, LONGEST_TEXT):
        raise ConfigError(
            f"{key} must have at most {LONGEST_TEXT} characters, none of them a control character or half of a "
            f"surrogate pair; it has {len(value)}: {value!r:.100}."
        )
    return value


def _is_plain(text: str, longest: int) -> bool:
    """Whether a text can be shown in one place: neither control characters nor halves of surrogate pairs."""
    return len(text) <= longest and all(unicodedata.category(sign) not in ("Cc", "Cs") for sign in text if sign != "\n")


def _list(tree: Mapping[str, Any], key: str) -> list[Any]:
    value = tree.get(key)
    if not isinstance(value, list):
        raise ConfigError(f"{key} must be a list, not {value!r:.100}.")
    if len(value) > MOST_CATEGORIES:
        raise ConfigError(f"{key} must have at most {MOST_CATEGORIES} items, not {len(value)}.")
    return value


def _refuse_repeated(kind: str, values: Sequence[object]) -> None:
    seen: set[object] = set()
    for value in values:
        if value in seen:
            raise ConfigError(f"categories has the {kind} {value!r} more than once.")
        seen.add(value)


def _category(item: Any) -> Category:
    number, name = (item.get("id"), item.get("name")) if isinstance(item, dict) else (None, None)
    if type(number) is not int or not isinstance(name, str) or not name or not _is_plain(name, LONGEST_NAME):
        raise ConfigError(
            f'a category must be like {{"id": 1, "name": "person"}}, its name of at most {LONGEST_NAME} characters, '
            f"not {item!r:.100}."
        )
    if not 0 <= number <= LARGEST_ID:
        raise ConfigError(f"a category's id must be from 0 to {LARGEST_ID}, not {item!r:.100}.")
    return Category(number, name)
