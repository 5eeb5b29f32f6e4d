"""Configurations of any kind, read and written; the kinds are told apart by MODEL.META_ARCHITECTURE.

>>> config = read_config("config.yaml")  # doctest: +SKIP
>>> config_from_dict(config_to_dict(config)) == config  # doctest: +SKIP
True
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pointrend.config import one_stage, reader, semantic, writer
from pointrend.config.schema import AnyConfig, OneStageConfig, SemanticConfig
from pointrend.config.tree import nest, read_tree
from pointrend.errors import ConfigError


def read_config(path: str | Path, root: str | Path | None = None) -> AnyConfig:
    """Read a detectron2 configuration: YAML or JSON, full, partial or flattened, with its ``_BASE_`` chain.

    Keys that are left out have detectron2's defaults, PointRend's own keys too.

    Args:
        path: of the file.
        root: the folder that the files of ``_BASE_`` must be regular files in; without it, the file's own folder.

    Raises:
        ConfigError: the file cannot be read, a key has the wrong type, or asks for what cannot be built.
    """
    tree = read_tree(Path(path), None if root is None else Path(root))
    try:
        return config_from_dict(tree)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def config_from_dict(tree: Mapping[str, Any]) -> AnyConfig:
    """Read a configuration that is nested or flattened; see :func:`read_config`.

    Raises:
        ConfigError: a key has the wrong type, or asks for what cannot be built.
    """
    nested = nest(tree)
    model = nested.get("MODEL")
    architecture = model.get("META_ARCHITECTURE") if isinstance(model, Mapping) else None
    if architecture == semantic.ARCHITECTURE:
        return semantic.from_tree(nested)
    if architecture == one_stage.ARCHITECTURE:
        return one_stage.from_tree(nested)
    return reader.from_tree(nested)


def config_to_dict(config: AnyConfig) -> dict[str, Any]:
    """Write a configuration as a nested tree that leaves out what has its default.

    Raises:
        ConfigError: the configuration is of no kind that detectron2's keys can name.
    """
    if isinstance(config, SemanticConfig):
        return semantic.to_tree(config)
    if isinstance(config, OneStageConfig):
        return one_stage.to_tree(config)
    return writer.to_tree(config)
