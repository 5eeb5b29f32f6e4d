"""A model folder: weights, configuration and what the model says of itself. Reading one imports no torch.

A folder holds ``model.safetensors``, ``config.yaml`` (detectron2's keys), ``model.json`` and usually
``MODEL_CARD.md``.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pointrend.config.files import read_config
from pointrend.config.schema import AnyConfig, InstanceConfig, NetworkConfig, OneStageConfig, SemanticConfig
from pointrend.config.text import read_json
from pointrend.errors import CheckpointError, ConfigError
from pointrend.structures.model_info import ModelInfo
from pointrend.system.home import home
from pointrend.weights import cache, zoo
from pointrend.weights.hub import store
from pointrend.weights.hub.address import FORM, HubAddress, is_address

PACKAGED = ("demo",)  # folders beside this file
WEIGHTS = "model.safetensors"
SUFFIXES = (".ckpt", ".bin", ".pkl", ".pth", ".pt", ".safetensors")  # of weights, in any case
CONFIG = "config.yaml"
INFO = "model.json"
CARD = "MODEL_CARD.md"


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
            raise ConfigError(f"{self.info.name} is a semantic model; an instance model is needed here.")
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
            raise CheckpointError(f"{folder.weights} is not a regular file.")
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
    name = str(name_or_path)
    if is_address(name):
        return store.locate(HubAddress.parse(name))
    # pathlib raises for a user that there is not, and for a name that is too long to ask for.
    path = Path(os.path.expanduser(name_or_path))  # noqa: PTH111
    if os.path.isdir(path):  # noqa: PTH112
        return path.resolve()
    if name not in zoo.names():
        raise ConfigError(
            f"There is no model {name!r:.200}: it is neither a folder, nor the name of a model that comes with the "
            f"package ({', '.join(PACKAGED)}), nor that of a published one ({', '.join(zoo.names())}), nor an address "
            f"on the Hugging Face Hub ({FORM})."
        )
    if not cache.is_cached(name):
        raise ConfigError(
            f"The published model {name!r} is not in {home()} yet. Get it with: pointrend weights pull {name}"
        )
    cache.check_manifest(cache.model_path(name), name)
    return cache.model_path(name)


def read_info(path: Path) -> ModelInfo:
    """Read a ``model.json``.

    Raises:
        ConfigError: it is missing, not JSON, or lacks something; the message names the file.
    """
    if not path.exists():
        raise ConfigError(f"{path.parent} is not a model folder: it lacks {path.name}.")
    try:
        tree, _ = read_json(path)
        if not isinstance(tree, dict):
            raise ConfigError(f"it must hold an object, not a {type(tree).__name__}.")
        return ModelInfo.from_dict(tree)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
