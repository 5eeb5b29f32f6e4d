"""The published models: names, figures, terms, addresses and configurations, as data in ``zoo.json``. Needs no torch.

Checkpoints of detectron2's model zoo carry the first digits of their MD5 in their file names (its MODEL_ZOO.md).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pointrend.config.files import config_from_dict
from pointrend.config.schema import AnyConfig
from pointrend.errors import ConfigError
from pointrend.structures.model_info import Category, ModelInfo
from pointrend.suggestions import suggest

ZOO = Path(__file__).with_name("zoo.json")
_HASHED_NAME = re.compile(r"_([0-9a-f]{6,64})\.pkl$")


@dataclass(frozen=True, slots=True)
class ZooModel:
    """A published model.

    Attributes:
        name: by which it is asked for, such as ``coco-r50-3x``.
        kind: ``PointRend`` or ``Mask R-CNN``.
        task: ``instances`` or ``semantic``.
        backbone: such as ``ResNet-50``.
        schedule: of its training: 1x or 3x.
        figures: what its authors measured, in percent, by the figure's name.
        dataset: what it was trained on.
        terms: of the data.
        licence: of the weights.
        source: where all this is written.
        path: of the checkpoint below the zoo's address; mirrors have the same.
        base_url: the zoo's address, which ends in a slash.
        weight_bytes: of the tensors, float32; the checkpoint has a few more.
        categories: in the order of the network's outputs.
        tree: the configuration in detectron2's keys.
    """

    name: str
    kind: str
    task: str
    backbone: str
    schedule: str
    figures: Mapping[str, float]
    dataset: str
    terms: str
    licence: str
    source: str
    path: str
    base_url: str
    weight_bytes: int
    categories: tuple[Category, ...]
    tree: Mapping[str, Any]

    @property
    def title(self) -> str:
        """One line: kind, backbone, data and schedule."""
        return f"{self.kind} {self.backbone}-FPN, {self.dataset}, {self.schedule}"

    @property
    def version(self) -> str:
        """The number under which it was published."""
        return self.path.split("/")[-2]

    @property
    def hash_prefix(self) -> str:
        """The first digits of the checkpoint's hash."""
        match = _HASHED_NAME.search(self.path)
        assert match is not None  # tests see to it for every published model
        return match[1]

    @property
    def config(self) -> AnyConfig:
        """The configuration."""
        return config_from_dict(self.tree)

    @property
    def info(self) -> ModelInfo:
        """What the converted model's ``model.json`` says."""
        return ModelInfo(
            name=self.name,
            version=self.version,
            categories=self.categories,
            description=f"{self.title}; {self.measured}, as published.",
            licence=self.licence,
        )

    @property
    def measured(self) -> str:
        """The figures in words: ``mask AP 38.3``."""
        return ", ".join(f"{name} {value}" for name, value in self.figures.items())

    def url(self, mirror: str | None = None) -> str:
        """The checkpoint's address at the zoo, or at a mirror that keeps the same paths."""
        return (self.base_url if not mirror else mirror.rstrip("/") + "/") + self.path


@cache
def models() -> tuple[ZooModel, ...]:
    """All published models that can be pulled."""
    zoo = json.loads(ZOO.read_text(encoding="utf-8"))
    return tuple(_model(entry, zoo) for entry in zoo["models"])


def names() -> tuple[str, ...]:
    """Their names."""
    return tuple(model.name for model in models())


def find(name: str) -> ZooModel:
    """A published model by its name.

    Raises:
        ConfigError: there is none of this name; a near one is suggested.
    """
    for model in models():
        if model.name == name:
            return model
    raise ConfigError(f"No published model is called {name!r}.{suggest(name, names())} There are {', '.join(names())}.")


def _model(entry: Mapping[str, Any], zoo: Mapping[str, Any]) -> ZooModel:
    dataset = zoo["datasets"][entry["dataset"]]
    return ZooModel(
        name=entry["name"],
        kind=entry["kind"],
        task=entry["task"],
        backbone=entry["backbone"],
        schedule=entry["schedule"],
        figures=entry["figures"],
        dataset=dataset["title"],
        terms=dataset["terms"],
        licence=zoo["licence"],
        source=zoo["source"],
        path=entry["path"],
        base_url=zoo["base_url"],
        weight_bytes=entry["weight_bytes"],
        categories=tuple(Category(number, name) for number, name in dataset["categories"]),
        tree=entry["config"],
    )
