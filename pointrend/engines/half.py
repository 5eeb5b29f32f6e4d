"""Run the dense parts of a network in half precision with PyTorch: bfloat16 on a CPU, float16 on a GPU.

Weights are converted once, with normalisations folded in before, in float32. Inputs and outputs stay float32, so that
proposals, RoIAlign and masks are computed as ever; and so do the layers that give scores, offsets and mask logits,
where a rounding is an error of the result, and a few tender ones: both cost little.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pointrend.engines.part import Network, Part, Points, Run
from pointrend.modeling.layers import ConvNorm


def install(network: Network, parts: Sequence[Part], dtype: torch.dtype) -> list[Part]:
    """Let PyTorch compute the parts of a network in another precision, on the device where their weights are.

    Args:
        network: whose parts they are.
        parts: all of :func:`pointrend.engines.parts.parts`.
        dtype: of weights and activations.

    Returns:
        the converted parts, whose weights are no longer the network's.
    """
    own = []
    for part in parts:
        own.append(converted(part, dtype))
        if isinstance(own[-1], Points):
            own[-1].install_layers(network, dtype)
        else:
            part.install(network, _run(own[-1], dtype))
    return own


def converted(part: Part, dtype: torch.dtype) -> Part:
    """A copy of a part with weights of another precision, in channels-last order.

    Layers that give its answers, and tender ones, stay float32.
    """
    own = copy.deepcopy(part)
    for module in own.modules():
        if isinstance(module, ConvNorm):
            fold(module)
    for name, module in own.named_modules():
        if not list(module.parameters(recurse=False)):
            continue
        if name not in own.answers and not name.startswith(own.tender):
            _convert(module, dtype)
        module.register_forward_pre_hook(_in_its_precision)
    return own


def _convert(module: nn.Module, dtype: torch.dtype) -> None:
    for parameter in module.parameters(recurse=False):
        order = torch.channels_last if parameter.dim() == 4 else torch.preserve_format
        parameter.data = parameter.data.to(dtype, memory_format=order)


def _in_its_precision(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Neighbours of a layer may have been computed in another precision."""
    dtype = next(module.parameters(recurse=False)).dtype
    return tuple(each.to(dtype) for each in inputs)


def fold(convolution: ConvNorm) -> None:
    """Multiply a constant normalisation into the weights for good; without one, nothing is done."""
    if convolution.norm is None:
        return
    scale, shift = convolution.norm.affine()
    convolution.weight = nn.Parameter(convolution.weight * scale[:, None, None, None])
    convolution.bias = nn.Parameter(shift)
    convolution.norm = None


def _run(part: Part, dtype: torch.dtype) -> Run:
    def run(*inputs: Tensor) -> tuple[Tensor, ...]:
        # An image that a tender layer sees first is not rounded before it.
        first = torch.float32 if part.tender else dtype
        given = [
            each.to(first, memory_format=torch.channels_last if each.dim() == 4 else torch.preserve_format)
            for each in inputs
        ]
        return tuple(each.float() for each in part(*given))

    return run
