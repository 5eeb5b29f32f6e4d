"""Which of a checkpoint's tensors are the model's: trainers wrap them, prefix their names, and keep averages beside.

What is chosen is told. The trained weights are taken, as detectron2 does, unless a part is named; averaged ones (EMA)
where there are no others.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pointrend.errors import CheckpointError

# Keys of wrappers, and first components of names, the likelier first.
TRAINED = ("model", "state_dict", "model_state_dict", "model_state", "network", "net", "student", "modelStudent")
AVERAGED = re.compile(r"(^|_)(ema|swa)(_|$)|teacher|averaged?(_|$)", re.IGNORECASE)
# What torch's own wrappers put into names: DistributedDataParallel, torch.compile, activation checkpoints, FSDP.
PREFIXES = ("module", "_orig_mod", "_checkpoint_wrapped_module", "_fsdp_wrapped_module")
MOST_LEVELS = 8
AVERAGE_COUNT = "n_averaged"  # beside the weights of torch's AveragedModel

Note = Callable[[str], None]
"""Told what was chosen, one sentence each time."""


def log_note(sentence: str) -> None:
    """Log what was chosen."""
    logging.getLogger(__name__).info(sentence)


def choose(tree: Any, part: str | None, note: Note, is_stale: Callable[[str], object]) -> dict[str, Any]:
    """Find the model's weights.

    Args:
        tree: what a checkpoint holds.
        part: a wrapper's key, or the first component of names, to take rather than the trained weights.
        note: told of wrappers, averages and prefixes.
        is_stale: whether a name is of no weight, so that it need not have the others' prefix.

    Returns:
        whatever has the place of tensors, by names without prefixes.

    Raises:
        CheckpointError: there are none, no such part, or names with and without a prefix.
    """
    wanted = part
    chosen: list[str] = []
    for _ in range(MOST_LEVELS):
        if not isinstance(tree, Mapping):
            raise CheckpointError(f"it holds a {type(tree).__name__}, not a mapping of names to arrays")
        beside = [str(key) for key in tree if _is_part(key) and isinstance(tree[key], Mapping)]
        if not beside:
            break
        # A trainer's settings may have the same key as another's weights.
        beside = [key for key in beside if key == wanted or _holds_arrays(tree[key])] or beside
        key, wanted = _pick(beside, wanted, note)
        chosen.append(key)
        tree = tree[key]
    else:
        raise CheckpointError(f"its weights are wrapped more than {MOST_LEVELS} times")
    state = {str(key): value for key, value in tree.items()}
    if chosen:
        note(f"Takes the part {'.'.join(chosen)} of the checkpoint: {_names(len(state))}.")
    if AVERAGE_COUNT in state:
        note(f"These are averaged weights: {AVERAGE_COUNT} is among them.")
        del state[AVERAGE_COUNT]
    for _ in range(MOST_LEVELS):
        firsts = {name: name.split(".", 1)[0] for name in state if not is_stale(name)}
        prefixed = {name: first for name, first in firsts.items() if "." in name and _is_part(first)}
        if not prefixed:
            break
        without = [name for name in firsts if name not in prefixed]
        if without:
            name, first = next(iter(prefixed.items()))
            raise CheckpointError(
                f"{len(prefixed)} of its names have a prefix such as {first:.50}. and {len(without)} have none: "
                f"{name:.100}, but {without[0]:.100}; save the state_dict of one model alone"
            )
        beside = list(dict.fromkeys(prefixed.values()))
        first, wanted = (beside[0], wanted) if len(beside) == 1 and wanted is None else _pick(beside, wanted, note)
        state = {name.removeprefix(f"{first}."): state[name] for name in prefixed if prefixed[name] == first}
        note(f"Strips the prefix {first}. from {_names(len(state))}.")
    if wanted is not None:
        raise CheckpointError(f"it has no part {wanted!r:.100}")
    return _without_wrappers(state, note)


def _pick(beside: list[str], wanted: str | None, note: Note) -> tuple[str, str | None]:
    """One of several parts, and what is still wanted within it."""
    if wanted in beside:
        return str(wanted), None
    order = [key for name in (*TRAINED, *PREFIXES) for key in beside if key == name]
    key = (order or beside)[0]
    others = [each for each in beside if each != key]
    averaged = [each for each in others if AVERAGED.search(each)]
    if AVERAGED.search(key):
        note(f"{key} are averaged weights (EMA); the checkpoint has no others beside them.")
    if averaged and wanted is None:
        note(
            f"Takes the trained weights, {key}, as detectron2 does; averaged ones (EMA) are in {', '.join(averaged)}: "
            f"part={averaged[0]} takes them."
        )
    elif others and wanted is None:
        note(f"Takes {key}; {', '.join(others)} is left: part={others[0]} takes it.")
    return key, wanted


def _without_wrappers(state: dict[str, Any], note: Note) -> dict[str, Any]:
    """Leave out what wrappers of single modules put into the middle of names."""
    result: dict[str, Any] = {}
    for name, value in state.items():
        plain = ".".join(piece for piece in name.split(".") if piece not in PREFIXES)
        if plain in result:
            raise CheckpointError(f"it holds {plain:.100} twice, with and without {', '.join(PREFIXES)} in its name")
        result[plain] = value
    changed = len(state.keys() - result.keys())
    if changed:
        note(f"Strips {' and '.join(_found(state, PREFIXES))} from within {_names(changed)}.")
    return result


def _found(state: Iterable[str], pieces: Iterable[str]) -> list[str]:
    present = {piece for name in state for piece in name.split(".")}
    return [piece for piece in pieces if piece in present]


def _holds_arrays(tree: Mapping[Any, Any]) -> bool:
    """Whether arrays are in a mapping, or in those in it; each is looked at once."""
    waiting, seen = [tree], set[int]()
    while waiting:
        mapping = waiting.pop()
        if id(mapping) in seen:
            continue
        seen.add(id(mapping))
        if any(hasattr(value, "nbytes") for value in mapping.values()):
            return True
        waiting.extend(value for value in mapping.values() if isinstance(value, Mapping))
    return False


def _is_part(key: Any) -> bool:
    return isinstance(key, str) and (key in TRAINED or key in PREFIXES or AVERAGED.search(key) is not None)


def _names(count: int) -> str:
    return f"{count} name" + ("s" if count != 1 else "")
