"""YAML and JSON from strangers as plain values: nothing in them is executed, and what they unfold to is bounded."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from pointrend.errors import ConfigError
from pointrend.system.regular_files import open_regular

MAX_BYTES = 1_000_000  # a full configuration has 8,000
MAX_NODES = 100_000  # with aliases unfolded; a full configuration has 600
MAX_DEPTH = 32  # a full configuration has 5
LONGEST_NUMBER = 100  # characters
_CORE = "tag:yaml.org,2002:"
TUPLE_TAG = _CORE + "python/tuple"
_UNFOLDS = f"A configuration has at most {MAX_NODES} values"
_DEEP = f"A configuration is at most {MAX_DEPTH} levels deep"


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, which also reads the tuples that Python writes as such; it refuses other Python tags.

    It stops at the limits rather than after them: it takes some 20 microseconds a byte.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._nodes = 0
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._nodes += 1
        if self._nodes > 2 * MAX_NODES:  # keys are nodes too
            raise ConfigError(f"{_UNFOLDS}; this one has more.")
        self._depth += 1
        if self._depth > MAX_DEPTH + 1:
            raise ConfigError(f"{_DEEP}; this one is deeper.")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def _tuple_as_list(loader: yaml.SafeLoader, node: yaml.SequenceNode) -> list[Any]:
    return loader.construct_sequence(node, deep=True)


_Loader.add_constructor(TUPLE_TAG, _tuple_as_list)


def read_values(path: Path, most_bytes: int = MAX_BYTES) -> tuple[Any, int]:
    """Read a YAML or JSON file.

    Args:
        path: a regular file, UTF-8; JSON where its name ends in ``.json``.
        most_bytes: it may have.

    Returns:
        its plain values, whose mappings have text as keys, and its length in bytes.

    Raises:
        ConfigError: it cannot be read, is malformed, has a key twice, or goes beyond a limit of this module.
    """
    parse = _parse_json if path.suffix.lower() == ".json" else _parse_yaml
    return _read(path, most_bytes, parse, "It is not a readable configuration")


def read_json(path: Path) -> tuple[Any, int]:
    """Read a JSON file, whatever its name; see :func:`read_values`."""
    return _read(path, MAX_BYTES, _parse_json, "is not JSON")


def read_yaml(path: Path) -> tuple[Any, int]:
    """Read a YAML file, whatever its name; see :func:`read_values`."""
    return _read(path, MAX_BYTES, _parse_yaml, "is not YAML")


def _read(path: Path, most_bytes: int, parse: Callable[[str], Any], damage: str) -> tuple[Any, int]:
    try:
        with open_regular(path) as file:
            data = file.read(most_bytes + 1)
        if len(data) > most_bytes:
            raise ConfigError(f"It may have at most {MAX_BYTES} bytes together with its base files; these are more.")
        values = parse(data.decode("utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"It cannot be read: {error.strerror}.") from error
    except ConfigError:
        raise
    # PyYAML's constructors raise nearly anything, from IndexError to AttributeError, on a value that its tag belies.
    except Exception as error:
        raise ConfigError(f"{damage}: {' '.join(str(error).split())[:300]}.") from error
    check_bounds(values)
    return values, len(data)


def check_bounds(values: Any) -> None:
    """Check that a tree of plain values, each counted wherever it appears, is within this module's limits.

    Raises:
        ConfigError: it has more than :data:`MAX_NODES` values or :data:`MAX_DEPTH` levels, or contains itself.
    """
    _measure_value(values, 0, {})


def _measure_value(value: Any, depth: int, known: dict[int, tuple[int, int] | None]) -> tuple[int, int]:
    """Number of values and of levels; ``known`` has those of each container that was measured before."""
    children: Any = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else None
    if children is None:
        return 1, 1
    return _measure(value, children, depth, known, _measure_value)


def _measure(
    node: Any, children: Any, depth: int, known: dict[int, tuple[int, int] | None], measure_child: Any
) -> tuple[int, int]:
    if id(node) in known:
        measured = known[id(node)]
        if measured is None:
            raise ConfigError(f"{_UNFOLDS}; one that contains itself unfolds to more.")
    else:
        if depth >= MAX_DEPTH:
            raise ConfigError(f"{_DEEP}; this one is deeper.")
        known[id(node)] = None
        size, height = 1, 0
        for child in children:
            more, levels = measure_child(child, depth + 1, known)
            size, height = size + more, max(height, levels)
            if size > MAX_NODES:
                raise ConfigError(f"{_UNFOLDS}; this one unfolds to more.")
        measured = known[id(node)] = (size, height + 1)
    if depth + measured[1] > MAX_DEPTH + 1:
        raise ConfigError(f"{_DEEP}; this one is deeper.")
    return measured


def _parse_json(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_no_key_twice, parse_constant=_refuse_constant)


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ConfigError(f"The key {twice!r:.100} appears twice in one section.")
    return result


def _refuse_constant(name: str) -> Any:
    raise ConfigError(f"{name} is not a JSON number.")


def _parse_yaml(text: str) -> Any:
    # The loader derives from SafeLoader, so nothing is constructed but plain values.
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        # Before anything is constructed: merge keys (<<) would unfold aliases then.
        _measure_node(node, 0, {})
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _measure_node(node: yaml.Node, depth: int, known: dict[int, tuple[int, int] | None]) -> tuple[int, int]:
    if isinstance(node, yaml.MappingNode):
        if id(node) not in known:
            _check_keys(node)
        return _measure(node, [value for _, value in node.value], depth, known, _measure_node)
    if isinstance(node, yaml.SequenceNode):
        return _measure(node, node.value, depth, known, _measure_node)
    if node.tag in (_CORE + "int", _CORE + "float") and len(node.value) > LONGEST_NUMBER:
        raise ConfigError(
            f"A number has at most {LONGEST_NUMBER} characters, not {len(node.value)} (line {_line(node)})."
        )
    return 1, 1


def _check_keys(node: yaml.MappingNode) -> None:
    lines: dict[str, int] = {}
    for key, _ in node.value:
        if key.tag not in (_CORE + "str", _CORE + "merge"):
            shown = f"{key.value:.100}" if isinstance(key, yaml.ScalarNode) else f"a {key.id}"
            raise ConfigError(
                f"A key must be text; {shown} (line {_line(key)}) is read as {key.tag.removeprefix(_CORE)}. "
                "Put it in quotes."
            )
        if key.value in lines:
            raise ConfigError(
                f"The key {key.value!r:.100} appears twice in one section (lines {lines[key.value]} and {_line(key)})."
            )
        lines[key.value] = _line(key)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
