"""Turn a part that OpenVINO has converted into int8, by NNCF's post-training quantisation.

A part is calibrated on what it sees when the network looks at images. The layers whose outputs are the network's
answers (scores, offsets, mask logits) stay float32: there a rounding is an error of the result, and they cost little.
So do convolutions of each channel on its own, which have hardly any products to save and channels of very different
ranges.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from pointrend.engines.part import Part


def quantised(model: Any, part: Part, inputs: Sequence[tuple[Tensor, ...]]) -> Any:
    """Quantise a part.

    Args:
        model: the part as an ``openvino.Model`` in float32.
        part: tells which layers stay so.
        inputs: of its calls.
    """
    import nncf  # optional

    kept = (*part.answers, *part.tender)
    precise = [
        operation.get_friendly_name()
        for operation in model.get_ops()
        if _depthwise(operation) or any(module in operation.get_friendly_name() for module in kept)
    ]
    return nncf.quantize(
        model,
        nncf.Dataset([tuple(each.numpy() for each in call) for call in inputs]),
        preset=nncf.QuantizationPreset.MIXED,
        target_device=nncf.TargetDevice.CPU,
        subset_size=len(inputs),
        ignored_scope=nncf.IgnoredScope(names=precise, validate=False),
    )


def _depthwise(operation: Any) -> bool:
    if operation.get_type_name() != "GroupConvolution":
        return False
    _, outputs, inputs, *_ = operation.input_value(1).get_shape()  # of each group
    return bool(outputs == inputs == 1)
