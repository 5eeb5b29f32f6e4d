"""One copy of a network's weights for all processes that run it: mapped from a file, whose pages they share.

The file is made for that, of what the network holds once its engine has prepared it, and is never written again. A
model's own file would not do: people replace it by writing over it, which would change the network under way, or end
the process (SIGBUS) once the file becomes shorter.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from pointrend.system.memory import give_back

_ALIGNMENT = 64  # bytes: of a cache line, so that no vector is read from two

logger = logging.getLogger(__name__)


def share_weights(networks: Sequence[nn.Module], path: Path) -> bool:
    """Let networks read their weights from a file that every process with the same weights maps.

    The first process writes the file, and each compares it with its own weights before it takes these from there.
    What is written to mapped weights stays in the process.

    Args:
        networks: on the CPU.
        path: of the file, in a folder that only processes of one server write to.

    Returns:
        whether they do now. Otherwise each keeps its own, and a warning is logged: the file cannot be written or read,
        as on a full disk, or holds other weights.
    """
    tensors = [each for network in networks for each in (*network.parameters(), *network.buffers()) if each.numel()]
    own = {_place(each): _in_order(each.data) for each in tensors}
    try:
        if not path.exists():
            _write(list(own.values()), path)
        shared = dict(zip(own, _mapped(list(own.values()), path), strict=True))
    except (OSError, RuntimeError) as error:
        logger.warning("Workers do not share their weights: %s: %s.", path, getattr(error, "strerror", None) or error)
        return False
    if not all(torch.equal(_bytes(own[place]), _bytes(shared[place])) for place in own):
        logger.warning("Workers do not share their weights: %s holds others.", path)
        return False
    for each in tensors:
        flat = shared[_place(each)]
        each.data = flat.as_strided(each.shape, _in_order_strides(each), flat.storage_offset())
    own.clear()
    give_back()
    return True


def _place(tensor: Tensor) -> tuple[object, ...]:
    """Equal for tensors that are one and the same."""
    return tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride()


def _axes(tensor: Tensor) -> list[int]:
    """The axes, from the one whose steps in memory are longest."""
    return sorted(range(tensor.dim()), key=tensor.stride, reverse=True)


def _in_order(tensor: Tensor) -> Tensor:
    """All numbers of a tensor, in the order that they have in memory: (N,); those with gaps between are copied."""
    return tensor.permute(_axes(tensor)).reshape(-1)


def _in_order_strides(tensor: Tensor) -> list[int]:
    """A tensor's strides without gaps, its axes ordered in memory as they are: channels-last stays so."""
    strides, step = [0] * tensor.dim(), 1
    for axis in reversed(_axes(tensor)):
        strides[axis] = step
        step *= tensor.shape[axis]
    return strides


def _bytes(tensor: Tensor) -> Tensor:
    return tensor.view(torch.uint8)


def _layout(tensors: Sequence[Tensor]) -> tuple[list[int], int]:
    """Where each tensor begins in the file, and the file's size; in bytes."""
    starts, end = [], 0
    for each in tensors:
        starts.append(end)
        end += -(-each.nbytes // _ALIGNMENT) * _ALIGNMENT
    return starts, end


def _write(tensors: Sequence[Tensor], path: Path) -> None:
    """Write a file beside, and give it its name once it is whole; of processes at a time, the first one's stays."""
    starts, end = _layout(tensors)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with unfinished.open("xb") as file:
            for start, each in zip(starts, tensors, strict=True):
                file.write(bytes(start - file.tell()))
                file.write(_bytes(each).numpy().data)
            file.write(bytes(end - file.tell()))
        unfinished.chmod(0o400)
        with suppress(FileExistsError):
            path.hardlink_to(unfinished)
    finally:
        unfinished.unlink(missing_ok=True)


def _mapped(tensors: Sequence[Tensor], path: Path) -> list[Tensor]:
    """What a file has in the places of the given tensors: copy on write, so that the file stays as it is.

    Raises:
        RuntimeError: the file is shorter.
    """
    starts, end = _layout(tensors)
    storage = cast(torch.UntypedStorage, torch.UntypedStorage.from_file(str(path), shared=False, nbytes=end))
    return [
        torch.empty(0, dtype=each.dtype).set_(storage, start // each.element_size(), each.shape, (1,))
        for start, each in zip(starts, tensors, strict=True)
    ]
