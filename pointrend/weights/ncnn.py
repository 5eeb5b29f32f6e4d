"""Weights in ncnn's format: a text file that describes a graph, and a binary one with each layer's numbers in turn.

Only convolutions carry weights here; a graph with others is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pointrend.errors import CheckpointError

MAGIC = "7767517"
HALF = 0x01306B47  # the tag before float16 weights; 0 stands before float32
_PLAIN = ("Input", "Pooling", "Split", "Concat", "ShuffleChannel", "Slice", "Interp", "BinaryOp", "Reshape")
_CONVOLUTIONS = ("Convolution", "ConvolutionDepthWise")


@dataclass(frozen=True, slots=True)
class NcnnConvolution:
    """A convolution: ``weight`` (C', C / groups, k, k) and ``bias`` (C') float32, and how it is applied."""

    name: str
    weight: Tensor
    bias: Tensor
    stride: int
    padding: int
    groups: int
    activated: bool


def read_convolutions(param: Path, binary: Path) -> list[NcnnConvolution]:
    """Read a graph's convolutions in its order.

    Args:
        param: the text file, ``.param``.
        binary: its weights, ``.bin``.

    Raises:
        CheckpointError: a file is missing or damaged, a layer is of a kind that is not read here, or the binary file
            does not end where the graph does.
    """
    try:
        lines = param.read_text(encoding="utf-8").splitlines()
        data = binary.read_bytes()
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{param} and {binary} cannot be read: {error}.") from error
    if not lines or lines[0].strip() != MAGIC:
        raise CheckpointError(f"{param} is not an ncnn graph: it does not begin with {MAGIC}.")
    found, offset = [], 0
    for line in lines[2:]:
        kind, name, *rest = line.split() or ("", "")
        if kind in _CONVOLUTIONS:
            convolution, offset = _read(name, _parameters(rest), data, offset)
            found.append(convolution)
        elif kind and kind not in _PLAIN:
            raise CheckpointError(f"{param}: the layer {name} is a {kind}, which is not supported.")
    if offset != len(data):
        raise CheckpointError(f"{binary} has {len(data)} bytes, but the layers of {param} end at {offset}.")
    return found


def _parameters(words: list[str]) -> dict[str, str]:
    """What follows the names of a layer's inputs and outputs: pairs KEY=VALUE."""
    return dict(word.split("=", 1) for word in words if "=" in word)


def _read(name: str, parameters: dict[str, str], data: bytes, offset: int) -> tuple[NcnnConvolution, int]:
    def number(key: int, default: int) -> int:
        try:
            return int(parameters.get(str(key), default))
        except ValueError as error:
            raise CheckpointError(f"The layer {name} has a malformed parameter: {error}.") from error

    outputs, kernel, count, groups = number(0, 0), number(1, 1), number(6, 0), number(7, 1)
    inner = count // max(outputs * kernel * kernel, 1)
    if outputs < 1 or count != outputs * inner * kernel * kernel:
        raise CheckpointError(f"The layer {name} has {count} weights, which does not fit {outputs} outputs.")
    if number(9, 0) not in (0, 2):
        raise CheckpointError(f"The layer {name} has the activation {number(9, 0)}; only leaky ReLU (2) is read here.")
    if number(5, 0) != 1:
        raise CheckpointError(f"The layer {name} has no bias.")
    tag = int(_numbers(data, offset, "<u4", 1, name)[0])
    if tag not in (0, HALF):
        raise CheckpointError(f"The layer {name} begins with the tag {tag:#x}; read are 0 (float32) and {HALF:#x}.")
    form, size = ("<f2", 2) if tag else ("<f4", 4)
    weights = _numbers(data, offset + 4, form, count, name)
    offset += 4 + -(-count * size // 4) * 4
    bias = _numbers(data, offset, "<f4", outputs, name)
    convolution = NcnnConvolution(
        name=name,
        weight=torch.from_numpy(weights.astype(np.float32).reshape(outputs, inner, kernel, kernel)),
        bias=torch.from_numpy(bias.astype(np.float32)),
        stride=number(3, 1),
        padding=number(4, 0),
        groups=groups,
        activated=number(9, 0) == 2,
    )
    return convolution, offset + 4 * outputs


def _numbers(data: bytes, offset: int, form: str, count: int, name: str) -> NDArray[np.generic]:
    if offset + count * np.dtype(form).itemsize > len(data):
        raise CheckpointError(f"The weights end in the middle of the layer {name}.")
    return np.frombuffer(data, form, count, offset)
