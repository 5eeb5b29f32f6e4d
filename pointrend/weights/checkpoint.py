"""Checkpoints: read safely from any of detectron2's formats, under today's names, and fitted into a model."""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from pointrend.errors import CheckpointError
from pointrend.weights.unpickle import PickledArray, load_arrays

READERS = {".pkl": "pickle", ".pth": "torch", ".pt": "torch", ".safetensors": "safetensors"}
WRAPPERS = ("model", "state_dict")  # detectron2's and other trainers' key of the weights proper
LISTED = 10  # keys that an error shows of each kind

# PointRend's heads were renamed twice; its published checkpoints have any of the three generations of names.
_RENAMED = (
    (re.compile(r"^roi_heads\.mask_coarse_head\."), "roi_heads.mask_head.coarse_head."),  # 2020
    (re.compile(r"^roi_heads\.mask_point_head\."), "roi_heads.mask_head.point_head."),  # 2020
    (re.compile(r"(?<=\.coarse_head\.)coarse_mask_fc(?=\d+\.)"), "fc"),  # 2020, 2021
)
# What old checkpoints store beside weights: constants that the configuration gives, and BN's count of batches.
_STALE = re.compile(
    r"^(pixel_mean|pixel_std|(proposal_generator\.)?anchor_generator\.cell_anchors\.\d+|.*\.num_batches_tracked)$"
)


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """Read a checkpoint without running anything that is in it.

    Args:
        path: ``.pkl`` as in detectron2's model zoo, ``.pth`` or ``.pt`` as torch saves, or ``.safetensors``.

    Returns:
        tensors on the CPU by today's detectron2 names, whichever generation of names the file has; what is no
        weight (``pixel_mean``, ``cell_anchors``, ``num_batches_tracked``...) is left out.

    Raises:
        CheckpointError: the file is missing, damaged, of another kind, or asks for more than arrays and containers.
    """
    path = Path(path)
    try:
        if path.suffix not in READERS:
            raise CheckpointError(
                f"weights are read from {', '.join(READERS)}, not from {path.suffix or 'no suffix'!r}"
            )
        if path.stat().st_size == 0:
            raise CheckpointError("the file is empty")
        return _current_names(_tensors(_unwrap(_read(path))))
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}.") from error
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}.") from error


def load_into(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Copy a checkpoint into a model, in the model's own number types.

    Args:
        model: any module whose ``state_dict`` names are those of ``state``.
        state: what :func:`read_checkpoint` returns.

    Raises:
        CheckpointError: a tensor is missing, unexpected or of another shape; all kinds are listed, and the model is
            left as it was.
    """
    check_fit(model, state)
    model.load_state_dict(dict(state))


def check_fit(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Check that a checkpoint has exactly the tensors of a model, which may be on the meta device.

    Raises:
        CheckpointError: as :func:`load_into` says.
    """
    wanted = model.state_dict()
    problems = {
        "missing": [f"{key} {_shape(wanted[key])}" for key in wanted if key not in state],
        "unexpected": [f"{key} {_shape(state[key])}" for key in state if key not in wanted],
        "misshapen": [
            f"{key} wants {_shape(wanted[key])}, found {_shape(state[key])}"
            for key in wanted
            if key in state and wanted[key].shape != state[key].shape
        ],
    }
    if any(problems.values()):
        lists = "; ".join(f"{len(keys)} {kind}: {_listed(keys)}" for kind, keys in problems.items() if keys)
        raise CheckpointError(f"The checkpoint does not fit the model's configuration. {lists}.")


def save_safetensors(
    state: Mapping[str, Tensor], path: str | Path, *, half: bool = False, metadata: Mapping[str, str] | None = None
) -> None:
    """Write weights as safetensors, in place of the file at ``path`` once they are complete.

    Args:
        state: tensors by name.
        path: the destination.
        half: store matrices and kernels as float16. Vectors (biases, norm statistics, whose variances may be too
            small or too large for float16) keep their precision, and so does what would overflow.
        metadata: stored beside them.

    Raises:
        OSError: the file cannot be written.
    """
    path = Path(path)
    tensors = {key: (_halved(value) if half else value).contiguous() for key, value in state.items()}
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        # Not the library's own save_file: its files are readable by their owner only.
        unfinished.write_bytes(save(tensors, metadata={"format": "pt", **(metadata or {})}))
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _read(path: Path) -> Any:
    kind = READERS[path.suffix]
    if kind == "pickle":
        with path.open("rb") as file:
            return load_arrays(file)
    try:
        if kind == "safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except pickle.UnpicklingError as error:
        # torch's own message advises to load the file unsafely; only the name in it is of use.
        name = re.search(r"GLOBAL (\S+)", str(error))
        asks = (
            f"it asks for {name[1]}, which is neither a tensor nor a container"
            if name
            else "it is damaged, or not what torch saves"
        )
        raise CheckpointError(f"cannot be read safely as {kind}: {asks}; nothing was run") from error
    # Damage is reported as RuntimeError, EOFError, KeyError, SafetensorError and more.
    except Exception as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"cannot be read safely as {kind}: {reason:.300}") from error


def _unwrap(tree: Any) -> Mapping[Any, Any]:
    """The mapping of names to arrays, however many wrappers trainers put around it."""
    while isinstance(tree, Mapping):
        inner = next((tree[key] for key in WRAPPERS if isinstance(tree.get(key), Mapping)), None)
        if inner is None or inner is tree:
            return tree
        tree = inner
    raise CheckpointError(f"it holds a {type(tree).__name__}, not a mapping of names to arrays")


def _tensors(tree: Mapping[Any, Any]) -> dict[str, Tensor]:
    if not tree:
        raise CheckpointError("it holds no weights")
    return {str(key): _tensor(str(key), value) for key, value in tree.items()}


def _tensor(key: str, value: Any) -> Tensor:
    if isinstance(value, PickledArray):
        value = value.numpy()
    if isinstance(value, np.generic | np.ndarray):
        return torch.from_numpy(np.array(value))  # a copy: torch wants memory that it may write to
    if isinstance(value, Tensor):
        return value
    raise CheckpointError(f"{key:.100} is a {type(value).__name__}, not an array")


def _current_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    current: dict[str, Tensor] = {}
    for old, tensor in state.items():
        if _STALE.match(old):
            continue
        key = old
        for pattern, name in _RENAMED:
            key = pattern.sub(name, key)
        if key in current:
            raise CheckpointError(f"it holds {key} twice, under names of different years")
        current[key] = tensor
    return current


def _halved(tensor: Tensor) -> Tensor:
    if tensor.dim() < 2 or not tensor.is_floating_point():
        return tensor
    halved = tensor.half()
    return halved if bool(halved.isfinite().all()) else tensor


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"


def _listed(items: Iterable[str]) -> str:
    shown = list(items)
    rest = len(shown) - LISTED
    return ", ".join(f"{item:.200}" for item in shown[:LISTED]) + (f" and {rest} more" if rest > 0 else "")
