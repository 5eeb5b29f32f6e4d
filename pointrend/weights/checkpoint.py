"""Checkpoints: read safely from any of detectron2's formats, under today's names, and fitted into a model."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from pointrend.config.schema import AnyConfig
from pointrend.errors import CheckpointError
from pointrend.modeling.instance_network import InstanceNetwork
from pointrend.modeling.network import build_network
from pointrend.modeling.semantic import SemanticPointRend
from pointrend.system.regular_files import open_regular
from pointrend.weights.folder import SUFFIXES
from pointrend.weights.formats import HEAD_BYTES, Format, identify
from pointrend.weights.parts import Note, choose, log_note
from pointrend.weights.torch_files import DTYPES, PickledTensor, load_legacy, load_zip
from pointrend.weights.unpickle import PickledArray, load_arrays

MOST_SHARING = 4  # times the bytes of their file, that all tensors together may have: tied ones share theirs
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


def read_checkpoint(path: str | Path, *, part: str | None = None, note: Note = log_note) -> dict[str, Tensor]:
    """Read a checkpoint without running anything that is in it, at a cost that is bounded by the file's size.

    Args:
        path: a pickle as in detectron2's model zoo, what ``torch.save`` writes, or safetensors, told apart by their
            content; its suffix is one of :data:`SUFFIXES` in any case.
        part: which part to take, such as ``model_ema``, where a checkpoint has several.
        note: told what was chosen: parts, prefixes, averages.

    Returns:
        finite tensors on the CPU by today's detectron2 names, whichever generation of names the file has; what is no
        weight (``pixel_mean``, ``cell_anchors``, ``num_batches_tracked``...) is left out.

    Raises:
        CheckpointError: the file is missing, damaged, of another kind, asks for more than arrays and containers, or
            has weights that are not finite.
    """
    path = Path(path)
    try:
        if path.suffix.lower() not in SUFFIXES:
            raise CheckpointError(
                f"weights are read from {', '.join(SUFFIXES)}, not from {path.suffix or 'no suffix'!r}"
            )
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(HEAD_BYTES)
            file.seek(0)
            tree = _read(path, file, identify(head, size))
            state = choose(tree, part, note, _STALE.match)
            tensors = _tensors(_current_names(state), size)
        _require_finite(tensors)
        return tensors
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


def load_network(config: AnyConfig, state: Mapping[str, Tensor]) -> InstanceNetwork | SemanticPointRend:
    """Build a network and give it its weights; one that is larger than its weights is never allocated.

    Raises:
        ConfigError: the configuration cannot be built.
        CheckpointError: as :func:`load_into` says.
    """
    with torch.device("meta"):
        check_fit(build_network(config), state)
    network = build_network(config)
    load_into(network, state)
    return network


def check_fit(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Check that a checkpoint has exactly the tensors of a model, which may be on the meta device.

    Raises:
        CheckpointError: as :func:`load_into` says.
    """
    wanted = model.state_dict()
    problems = {
        "missing": [f"{key} {_shape(wanted[key])}" for key in wanted if key not in state],
        "unexpected": [f"{key} {_shape(state[key])}" for key in state if key not in wanted],
        "of whole numbers": [
            f"{key} {_dtype(state[key])}"
            for key in wanted
            if key in state and wanted[key].is_floating_point() and not state[key].is_floating_point()
        ],
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


def _read(path: Path, file: BinaryIO, kind: Format) -> Any:
    if kind == "torch zip":
        return load_zip(file)
    if kind == "torch legacy":
        return load_legacy(file)
    if kind == "pickle":
        return load_arrays(file)
    try:
        return load_file(path)
    except OSError:
        raise
    # Damage is reported as SafetensorError, and a type that torch lacks as KeyError and more.
    except Exception as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"cannot be read safely as {kind}: {reason:.300}") from error


def _tensors(state: Mapping[str, Any], size: int) -> dict[str, Tensor]:
    """Make tensors of what stands for them.

    Args:
        state: by name; names may share a tensor.
        size: bytes of the file.
    """
    if not state:
        raise CheckpointError("it holds no weights")
    for name, value in state.items():
        if not isinstance(value, PickledArray | PickledTensor | Tensor):
            raise CheckpointError(f"{name:.100} is a {type(value).__name__}, not an array")
    total = sum(value.nbytes for value in state.values())
    if total > MOST_SHARING * size:
        raise CheckpointError(f"its tensors share {size} bytes, but would take {total} alone")
    made: dict[int, Tensor] = {}
    return {name: made.setdefault(id(value), _tensor(name, value)) for name, value in state.items()}


def _tensor(name: str, value: PickledArray | PickledTensor | Tensor) -> Tensor:
    if isinstance(value, PickledArray):
        return torch.from_numpy(np.array(value.numpy()))  # a copy: torch wants memory that it may write to
    tensor = value.tensor() if isinstance(value, PickledTensor) else value
    if tensor.dtype not in DTYPES:
        raise CheckpointError(f"{name:.100} has the type {tensor.dtype}, which is not supported; save it as float32")
    return tensor


def _require_finite(state: Mapping[str, Tensor]) -> None:
    """Check that every weight can be a float32, in which the network computes."""
    broken = []
    for name, tensor in state.items():
        if not tensor.is_floating_point() or not tensor.numel():
            continue
        if not all(math.isfinite(float(bound.float())) for bound in tensor.aminmax()):
            count = int((~tensor.float().isfinite()).sum())
            broken.append(f"{name:.100} ({count} of {tensor.numel()})")
    if broken:
        raise CheckpointError(
            f"{len(broken)} of its {len(state)} tensors have numbers that are NaN or infinite: {_listed(broken)}; "
            "the training that saved them has diverged, so take an earlier checkpoint"
        )


def _current_names(state: Mapping[str, Any]) -> dict[str, Any]:
    current: dict[str, Any] = {}
    for old, value in state.items():
        if _STALE.match(old):
            continue
        key = old
        for pattern, name in _RENAMED:
            key = pattern.sub(name, key)
        if key in current:
            raise CheckpointError(f"it holds {key} twice, under names of different detectron2 versions")
        current[key] = value
    return current


def _halved(tensor: Tensor) -> Tensor:
    if tensor.dim() < 2 or not tensor.is_floating_point():
        return tensor
    halved = tensor.half()
    return halved if bool(halved.isfinite().all()) else tensor


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"


def _listed(items: Iterable[str]) -> str:
    shown = list(items)
    rest = len(shown) - LISTED
    return ", ".join(f"{item:.200}" for item in shown[:LISTED]) + (f" and {rest} more" if rest > 0 else "")
