"""A configuration as nested mappings: from YAML or JSON files, full or flattened, with their ``_BASE_`` chains.

Files may come from strangers: a configuration reads no file outside its folder, nor one that is not a regular file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pointrend.config.text import MAX_BYTES, MAX_DEPTH, check_bounds, read_values
from pointrend.errors import ConfigError

BASE_KEY = "_BASE_"
MAX_FILES = 16  # that one configuration is read from, each counted as often as it is named; detectron2's have 3
LONGEST_NAME = 1000


def read_tree(path: Path, root: Path | None = None) -> dict[str, Any]:
    """Read a configuration file and those that it is based on.

    Args:
        path: YAML or JSON (``.json``), nested or flattened (``MODEL.FPN.NORM: BN``). ``_BASE_`` names one file or
            several, relative to the file that says so; what a file says wins over its bases.
        root: the folder that all bases must lie in, links followed; without it the folder of ``path``.

    Raises:
        ConfigError: a file is missing or malformed, lies outside of ``root``, or is based on itself, or there are
            more than :data:`MAX_FILES`.
    """
    folder = path.parent if root is None else root.expanduser()
    return _Files(Path(os.path.realpath(folder))).read(path, ())


def nest(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Turn dotted keys into nested mappings: ``{"A.B": 1}`` becomes ``{"A": {"B": 1}}``.

    Raises:
        ConfigError: a key is no text, or is both a value and a section, or the tree is beyond the limits of
            :mod:`pointrend.config.text`.
    """
    check_bounds(tree)
    return _nest(tree, 0)


class _Files:
    """The files of one configuration; counts them and their bytes."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._count = 0
        self._bytes = 0

    def read(self, path: Path, chain: tuple[Path, ...]) -> dict[str, Any]:
        here = Path(os.path.realpath(path)) if "\0" not in str(path) else path
        names = " -> ".join(item.name for item in (*chain, here))
        if here in chain:
            raise ConfigError(f"{path}: {BASE_KEY} leads back to a file that led to it: {names}.")
        self._count += 1
        if self._count > MAX_FILES:
            raise ConfigError(
                f"{path}: {BASE_KEY} leads to more than {MAX_FILES} files, repeated ones counted: {names}."
            )
        try:
            tree, size = read_values(path, MAX_BYTES - self._bytes)
            self._bytes += size
            if not isinstance(tree, dict):
                raise ConfigError(f"It must hold keys and values, not {type(tree).__name__}.")
            bases = tree.pop(BASE_KEY, [])
            tree = nest(tree)
            # The folder of the name, not of what a link leads to, for the file that the user named.
            folder = Path(os.path.realpath(path.parent)) if not chain else here.parent
            places = [
                self._base(base, folder) for base in (bases if isinstance(bases, list) else [bases])[: MAX_FILES + 1]
            ]
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from error
        merged: dict[str, Any] = {}
        for place in places:
            _merge(merged, self.read(place, (*chain, here)))
        _merge(merged, tree)
        return merged

    def _base(self, name: Any, folder: Path) -> Path:
        """The file that a base's name stands for."""
        if not isinstance(name, str):
            raise ConfigError(f"{BASE_KEY} must be a file name or a list of them, not {type(name).__name__}.")
        if not name or len(name) > LONGEST_NAME or "\0" in name or "://" in name or name.startswith("~"):
            raise ConfigError(
                f"{BASE_KEY} must name a file by its path, of 1 to {LONGEST_NAME} characters without NUL; URLs and ~ "
                f"are not followed. It is {name!r:.100}."
            )
        place = Path(os.path.realpath(folder / name))
        if not place.is_relative_to(self._root):
            common = os.path.commonpath([place, self._root])
            raise ConfigError(
                f"{BASE_KEY} names {name!r:.200}, which is {place}, outside of {self._root}. To allow it, name a "
                f"folder that holds both, such as {common}: --config-root with `pointrend weights convert`, which "
                "writes one file without bases, or root= from Python."
            )
        return place


def _nest(tree: Mapping[str, Any], depth: int) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in tree.items():
        if not isinstance(key, str):
            raise ConfigError(f"A key must be text, not {type(key).__name__}.")
        parts = key.split(".")
        if depth + len(parts) > MAX_DEPTH:
            raise ConfigError(f"{key:.100} is more than {MAX_DEPTH} levels deep.")
        branch: Any = _nest(value, depth + len(parts)) if isinstance(value, Mapping) else value
        for part in reversed(parts):
            branch = {part: branch}
        _merge(result, branch)
    return result


def _merge(base: dict[str, Any], top: dict[str, Any]) -> None:
    """Put what ``top`` says over ``base``, which is altered; both are trees of :func:`nest`, which share no section."""
    for key, value in top.items():
        if key in base and isinstance(base[key], dict) != isinstance(value, dict):
            raise ConfigError(f"{key:.100} is a section in one place of the configuration and a value in another.")
        if key in base and isinstance(value, dict):
            _merge(base[key], value)
        else:
            base[key] = value
