"""Run the dense parts of a network in half precision with PyTorch: bfloat16 on a CPU, float16 on a GPU.

Weights are converted once, with normalisations folded in before, in float32. Inputs and outputs stay float32, so that
proposals, RoIAlign and masks are computed as ever; and so do the layers that give scores, offsets and mask logits,
which cost little and where a rounding is an error of the result.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pointrend.engines.parts import Part, Run
from pointrend.modeling.layers import ConvNorm
from pointrend.modeling.rcnn import RCNN


def install(network: RCNN, parts: Sequence[Part], dtype: torch.dtype) -> None:
    """Let PyTorch compute the parts of a network in another precision, on the device where their weights are.

    Args:
        network: whose parts they are.
        parts: all of :func:`pointrend.engines.parts.parts`.
        dtype: of weights and activations.
    """
    for part in parts:
        part.install(network, _run(converted(part, dtype), dtype))


def converted(part: Part, dtype: torch.dtype) -> Part:
    """A copy of a part with weights of another precision, in channels-last order; its answers stay float32."""
    own = copy.deepcopy(part)
    for module in own.modules():
        if isinstance(module, ConvNorm):
            fold(module)
    precise: set[nn.Parameter] = set()
    for name in own.answers:
        layer = own.get_submodule(name)
        layer.register_forward_pre_hook(lambda _, inputs: tuple(each.float() for each in inputs))
        precise.update(layer.parameters())
    for parameter in own.parameters():
        if parameter in precise:
            continue
        spatial = parameter.dim() == 4
        parameter.data = parameter.data.to(
            dtype, memory_format=torch.channels_last if spatial else torch.preserve_format
        )
    return own


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
        given = [
            each.to(dtype, memory_format=torch.channels_last) if each.dim() == 4 else each.to(dtype) for each in inputs
        ]
        return tuple(each.float() for each in part(*given))

    return run
