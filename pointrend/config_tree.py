"""A configuration as nested mappings: from YAML or JSON files, full or flattened, with their ``_BASE_`` chains.

Files may come from strangers: nothing in them is executed, and what a few bytes can unfold to is bounded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from pointrend.errors import ConfigError

BASE_KEY = "_BASE_"
MAX_BYTES = 1_000_000  # a full configuration has 8,000
MAX_NODES = 100_000  # with aliases unfolded; a full configuration has 600
TUPLE_TAG = "tag:yaml.org,2002:python/tuple"


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, which also reads the tuples that Python writes as such; it refuses other Python tags."""


def _tuple_as_list(loader: yaml.SafeLoader, node: yaml.SequenceNode) -> list[Any]:
    return loader.construct_sequence(node, deep=True)


_Loader.add_constructor(TUPLE_TAG, _tuple_as_list)


def read_tree(path: Path) -> dict[str, Any]:
    """Read a configuration file and those that it is based on.

    Args:
        path: YAML or JSON (``.json``), nested or flattened (``MODEL.FPN.NORM: BN``). ``_BASE_`` names one file or
            several, relative to the file that says so; what a file says wins over its bases.

    Raises:
        ConfigError: a file is missing or malformed, or is based on itself.
    """
    return _read(path, ())


def nest(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Turn dotted keys into nested mappings: ``{"A.B": 1}`` becomes ``{"A": {"B": 1}}``.

    Raises:
        ConfigError: a key is both a value and a section, or the tree is beyond :data:`MAX_NODES`.
    """
    _check_size(tree)
    result: dict[str, Any] = {}
    for key, value in tree.items():
        parts = str(key).split(".")
        branch: Any = nest(value) if isinstance(value, Mapping) else value
        for part in reversed(parts):
            branch = {part: branch}
        result = _merge(result, branch)
    return result


def _read(path: Path, chain: tuple[Path, ...]) -> dict[str, Any]:
    here = path.resolve()
    if here in chain:
        names = " -> ".join(item.name for item in (*chain, here))
        raise ConfigError(f"{path}: {BASE_KEY} leads back to a file that it started from: {names}.")
    try:
        tree = nest(_parse(path))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    bases = tree.pop(BASE_KEY, [])
    merged: dict[str, Any] = {}
    for base in [bases] if isinstance(bases, str) else bases:
        if not isinstance(base, str):
            raise ConfigError(f"{path}: {BASE_KEY} must be a file name or a list of them, not {base!r:.100}.")
        merged = _merge(merged, _read(here.parent / Path(base).expanduser(), (*chain, here)))
    return _merge(merged, tree)


def _parse(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"A configuration has at most {MAX_BYTES} bytes, not {path.stat().st_size}.")
        text = path.read_text(encoding="utf-8")
        # The loader derives from SafeLoader, so nothing is constructed but plain values.
        tree = json.loads(text) if path.suffix == ".json" else yaml.load(text, _Loader)
    except OSError as error:
        raise ConfigError(f"It cannot be read: {error.strerror}.") from error
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"It is no readable configuration: {' '.join(str(error).split())[:300]}") from error
    if not isinstance(tree, dict):
        raise ConfigError(f"It must hold keys and values, not {type(tree).__name__}.")
    return tree


def _check_size(tree: Any) -> None:
    """Aliases let a few bytes of YAML stand for billions of values, or for themselves."""
    waiting, count = [tree], 0
    while waiting:
        node = waiting.pop()
        count += 1
        if count + len(waiting) > MAX_NODES:
            raise ConfigError(f"A configuration has at most {MAX_NODES} values; this one unfolds to more.")
        if isinstance(node, Mapping):
            waiting.extend(node.values())
        elif isinstance(node, list | tuple):
            waiting.extend(node)


def _merge(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in top.items():
        if key in result and isinstance(result[key], dict) != isinstance(value, dict):
            raise ConfigError(f"{key} is a section in one place of the configuration and a value in another.")
        result[key] = _merge(result[key], value) if key in result and isinstance(value, dict) else value
    return result
