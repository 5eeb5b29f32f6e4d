"""NanoDet-Plus's published weights, as this project's detector."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor, nn

from pointrend.errors import CheckpointError
from pointrend.modeling.one_stage.detector import Detector
from pointrend.modeling.one_stage.gfl_head import GFLHead
from pointrend.modeling.one_stage.ghost_pan import GhostBlock, GhostPAN
from pointrend.modeling.one_stage.layers import SeparableConv
from pointrend.modeling.one_stage.shufflenet_v2 import DownBlock, ShuffleBlock, ShuffleNetV2
from pointrend.weights.ncnn import NcnnConvolution


def detector_weights(detector: Detector, published: Sequence[NcnnConvolution]) -> dict[str, Tensor]:
    """The weights of a detector, by its own names, from a published graph's convolutions in their order.

    Raises:
        CheckpointError: there are more or fewer, or one is of another shape, stride or number of groups.
    """
    names = {id(module): name for name, module in detector.named_modules()}
    own = list(_graph_order(detector))
    if len(own) != len(published):
        raise CheckpointError(f"The graph has {len(published)} convolutions, but the configured network {len(own)}.")
    state = {}
    for layer, other in zip(own, published, strict=True):
        name = names[id(layer)]
        shape = (tuple(layer.weight.shape), layer.stride[0], layer.padding[0], layer.groups)
        theirs = (tuple(other.weight.shape), other.stride, other.padding, other.groups)
        if shape != theirs:
            raise CheckpointError(f"{other.name} is (shape, stride, padding, groups) {theirs}; {name} wants {shape}.")
        state[f"{name}.weight"], state[f"{name}.bias"] = other.weight, other.bias
    return state


def _graph_order(detector: Detector) -> Iterator[nn.Conv2d]:
    """The detector's convolutions in the order of the published graph."""
    yield from _trunk(detector.backbone)
    yield from _pyramid(detector.pyramid)
    yield from _head(detector.head)


def _trunk(trunk: ShuffleNetV2) -> Iterator[nn.Conv2d]:
    yield trunk.stem
    for level in range(3, 6):
        for block in trunk.get_submodule(f"stage{level}").children():
            if isinstance(block, DownBlock):
                yield from (block.short_depthwise, block.expand, block.depthwise, block.short_project, block.project)
            elif isinstance(block, ShuffleBlock):
                yield from (block.expand, block.depthwise, block.project)


def _pyramid(pyramid: GhostPAN) -> Iterator[nn.Conv2d]:
    yield _conv(pyramid, "reduce5")
    for level in (4, 3):
        yield _conv(pyramid, f"reduce{level}")
        yield from _ghost(pyramid, f"up{level}")
    for level in (4, 5):
        yield from _separable(pyramid, f"halve{level}")
        yield from _ghost(pyramid, f"down{level}")
    yield from _separable(pyramid, "extra_in")
    yield from _separable(pyramid, "extra_out")


def _head(head: GFLHead) -> Iterator[nn.Conv2d]:
    # The first layer of each level but the last; then the rest, from the last level up.
    for level in (3, 4, 5):
        yield from _separable(head, f"tower{level}.0")
    for level in (6, 5, 4, 3):
        for index in range(0 if level == 6 else 1, head.config.num_conv):
            yield from _separable(head, f"tower{level}.{index}")
        yield _conv(head, f"predict{level}")


def _ghost(parent: nn.Module, name: str) -> Iterator[nn.Conv2d]:
    block = parent.get_submodule(name)
    assert isinstance(block, GhostBlock)
    for module in (block.ghost1, block.ghost2):
        yield from (module.primary, module.cheap)
    yield from (block.short_depthwise, block.short_project)


def _separable(parent: nn.Module, name: str) -> Iterator[nn.Conv2d]:
    layer = parent.get_submodule(name)
    assert isinstance(layer, SeparableConv)
    yield from (layer.depthwise, layer.pointwise)


def _conv(parent: nn.Module, name: str) -> nn.Conv2d:
    layer = parent.get_submodule(name)
    assert isinstance(layer, nn.Conv2d)
    return layer
