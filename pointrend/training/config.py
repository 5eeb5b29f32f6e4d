"""A training recipe, read from a YAML file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from pointrend.config.files import config_from_dict, read_config
from pointrend.config.schema import AnyConfig, InstanceConfig, OneStageConfig, SemanticConfig
from pointrend.config.text import read_yaml
from pointrend.errors import ConfigError
from pointrend.training.objective import SamplingConfig

DETECTOR = "detector"  # of a one-stage model, as a part that may be frozen


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """What a training does; the defaults are a sound start for fine-tuning.

    Attributes:
        name: of the model that comes out.
        version: of its weights.
        description, licence: what the model says of itself.
        model: the network, in detectron2's keys.
        categories: ids in the dataset of the classes to learn, in the order of the network's outputs; empty: all
            that the dataset lists.
        init: what to start from: a model's name or folder, a checkpoint, or ``PACKAGE:FILE`` for a published trunk
            that comes as an installed Python package; empty: random weights.
        teacher: weights, as of ``init``, whose boxes and classes a one-stage model keeps while it learns masks; without
            one, a detector that is not frozen learns them from labels.
        teacher_weight: what the losses against the teacher are multiplied by.
        crop: side of the square crops in pixels, a multiple of 32; of several, one is drawn for each batch.
        jitter: the least and the greatest scale of an image relative to fitting into the crop.
        copy_paste: probability of pasting another image's objects.
        repeat_threshold: images with a category rarer than this (a fraction of images) come more often (LVIS).
        sources: how many times as often images of a source come; 1 for a source that is not named.
        without: names of sources whose images are left out.
        batch: images a step.
        rate: AdamW's learning rate at its peak.
        trunk_rate: the trunk's, or a one-stage model's whole detector's, as a fraction of it.
        frozen: parts that keep their weights: of the trunk's ``stem``, ``res2`` .. ``res5``; a one-stage model's
            ``detector``.
        weight_decay: of matrices and kernels.
        warmup: steps until the peak.
        clip: the gradient's greatest norm.
        schedule: ``cosine`` falls to nothing over the budget; ``constant`` stays at the peak, for a training whose end
            is open: the averaged weights are good at any time.
        average: decay of the weights' moving average, which is what is kept in the end.
        steps: what a step looks at.
    """

    name: str
    model: InstanceConfig
    version: str = "0.1"
    description: str = ""
    licence: str = ""
    categories: tuple[int, ...] = ()
    init: str = ""
    teacher: str = ""
    teacher_weight: float = 1.0
    crop: tuple[int, ...] = (320,)
    jitter: tuple[float, float] = (0.5, 1.6)
    copy_paste: float = 0.3
    repeat_threshold: float = 0.02
    sources: Mapping[str, float] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    batch: int = 8
    rate: float = 1e-3
    trunk_rate: float = 0.25
    frozen: tuple[str, ...] = ()
    weight_decay: float = 0.02
    warmup: int = 200
    clip: float = 5.0
    schedule: str = "cosine"
    average: float = 0.998
    steps: SamplingConfig = field(default_factory=SamplingConfig)

    @classmethod
    def from_file(cls, path: str | Path) -> TrainingConfig:
        """Read a recipe.

        Raises:
            ConfigError: the file cannot be read, a key is unknown, or a value has the wrong type or is out of range.
        """
        path = Path(path)
        try:
            tree, _ = read_yaml(path)
            return cls._from_tree(tree, path.parent)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from error

    @classmethod
    def _from_tree(cls, tree: Any, folder: Path) -> TrainingConfig:
        if not isinstance(tree, dict):
            raise ConfigError(f"a recipe is a mapping of keys to values, not a {type(tree).__name__}.")
        known = {item.name for item in fields(cls)}
        unknown = [key for key in tree if key not in known]
        if unknown:
            raise ConfigError(f"there is no key {unknown[0]!r}; known are {', '.join(sorted(known))}.")
        missing = [key for key in ("name", "model") if key not in tree]
        if missing:
            raise ConfigError(f"the key {missing[0]!r} is missing.")
        values = {key: value for key, value in tree.items() if key not in ("model", "steps")}
        for key, value in values.items():
            values[key] = _checked(key, value)
        model = tree["model"]
        network = _read_network(folder, model) if isinstance(model, str) else config_from_dict(model)
        if isinstance(network, SemanticConfig):
            raise ConfigError(
                "model asks for a semantic network (MODEL.META_ARCHITECTURE SemanticSegmentor), which can be served, "
                "but not trained: training is for models that find single objects (GeneralizedRCNN, OneStagePointRend)."
            )
        learns = isinstance(network, OneStageConfig) and DETECTOR not in values.get("frozen", ())
        if "teacher_weight" in values and not values.get("teacher"):
            raise ConfigError("teacher_weight needs a teacher.")
        if values.get("teacher") and not learns:
            raise ConfigError("teacher is for a one-stage model (OneStagePointRend) whose detector is not frozen.")
        return cls(model=network, steps=_steps(tree.get("steps", {})), **values)

    def for_classes(self, count: int) -> TrainingConfig:
        """The same with a network of as many classes."""
        return replace(self, model=replace(self.model, num_classes=count))


def _read_network(folder: Path, name: str) -> AnyConfig:
    """Read a recipe's configuration file; where that is below the recipe, ``_BASE_`` may name all below the recipe."""
    here = os.path.abspath(folder)  # noqa: PTH100  # by their names: Path.resolve would follow links
    inside = Path(os.path.abspath(folder / name)).is_relative_to(here)  # noqa: PTH100
    return read_config(folder / name, folder if inside else None)


_RANGES: dict[str, tuple[float, float]] = {
    "copy_paste": (0, 1),
    "repeat_threshold": (0, 1),
    "batch": (1, 1024),
    "rate": (0, 1),
    "trunk_rate": (0, 10),
    "teacher_weight": (0, 1000),
    "weight_decay": (0, 1),
    "warmup": (0, 1_000_000),
    "clip": (1e-6, 1e6),
    "average": (0, 0.999999),
}
_WHOLE = ("batch", "warmup")


def _checked(key: str, value: Any) -> Any:
    if key in _RANGES:
        low, high = _RANGES[key]
        whole = key in _WHOLE
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float) or not low <= value <= high:
            kind = "a whole number" if whole else "a number"
            raise ConfigError(f"{key} must be {kind} from {low:g} to {high:g}, not {value!r}.")
        return value
    if key == "crop":
        sides = value if isinstance(value, list) and value else [value]
        if not all(type(side) is int and 64 <= side <= 4096 and side % 32 == 0 for side in sides):
            raise ConfigError(f"crop must be a multiple of 32 from 64 to 4096, or several, not {value!r}.")
        return tuple(sides)
    if key == "jitter":
        if not _numbers(value, 2) or not 0.05 <= value[0] <= value[1] <= 8:
            raise ConfigError(f"jitter must be two numbers from 0.05 to 8, the smaller first, not {value!r}.")
        return float(value[0]), float(value[1])
    if key == "sources":
        if not isinstance(value, dict) or not all(
            isinstance(name, str) and type(factor) in (int, float) and 0.01 <= factor <= 100
            for name, factor in value.items()
        ):
            raise ConfigError(f"sources must map names of sources to numbers from 0.01 to 100, not {value!r}.")
        return {name: float(factor) for name, factor in value.items()}
    if key == "categories":
        if not isinstance(value, list) or any(type(item) is not int for item in value):
            raise ConfigError(f"categories must be a list of ids, not {value!r}.")
        return tuple(value)
    if key == "without":
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            raise ConfigError(f"without must be a list of sources, not {value!r}.")
        return tuple(value)
    if key == "schedule":
        if value not in ("cosine", "constant"):
            raise ConfigError(f"schedule must be cosine or constant, not {value!r}.")
        return value
    if key == "frozen":
        parts = ("stem", "res2", "res3", "res4", "res5", DETECTOR)
        if not isinstance(value, list) or any(item not in parts for item in value):
            raise ConfigError(f"frozen must be a list of {', '.join(parts)}, not {value!r}.")
        return tuple(value)
    if not isinstance(value, str):
        raise ConfigError(f"{key} must be text, not {value!r}.")
    return value


def _numbers(value: Any, count: int) -> bool:
    return isinstance(value, list) and len(value) == count and all(type(item) in (int, float) for item in value)


def _steps(tree: Any) -> SamplingConfig:
    known = [item.name for item in fields(SamplingConfig)]
    if not isinstance(tree, dict) or any(key not in known for key in tree):
        raise ConfigError(f"steps must be a mapping of {', '.join(known)}, not {tree!r}.")
    for key, value in tree.items():
        if type(value) is not int or not 1 <= value <= 100_000:
            raise ConfigError(f"steps.{key} must be a whole number from 1 to 100000, not {value!r}.")
    return SamplingConfig(**tree)
