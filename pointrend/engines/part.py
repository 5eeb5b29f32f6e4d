"""A stretch of a network's dense layers as a function from tensors to tensors, which an engine computes in its own way.

Shapes: R regions, P points a region, C channels, K classes, X context maps, F hidden features.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pointrend.modeling.instance_network import InstanceNetwork
from pointrend.modeling.point_rend import PointHead
from pointrend.modeling.semantic import SemanticPointRend

Network: TypeAlias = InstanceNetwork | SemanticPointRend
Run = Callable[..., tuple[Tensor, ...]]  # what runs a part: its tensors in, its tensors out, all float32
Shape = tuple[int, ...]


class Part(nn.Module, ABC):
    """A stretch of dense layers; called with tensors, it gives a tuple of tensors.

    Attributes:
        name: of the part.
        inputs: the shape of each input; -1 where it differs from image to image.
        takes_images: whether its input is images (1, 3, H, W), which come in channels-last order.
        side_by_side: whether calls may come from several threads at once, in which PyTorch has one thread each.
        answers: names of those modules whose outputs are the network's answers; they stay float32.
        tender: beginnings of the names of other modules that stay float32.
    """

    name: ClassVar[str]
    inputs: tuple[Shape, ...]
    takes_images: ClassVar[bool] = False
    side_by_side: ClassVar[bool] = False
    answers: ClassVar[tuple[str, ...]] = ()
    tender: tuple[str, ...] = ()

    @abstractmethod
    def shapes(self, *inputs: Shape) -> list[Shape]:
        """The outputs' shapes for given inputs' ones."""

    @abstractmethod
    def install(self, network: Network, run: Run) -> None:
        """Let ``run`` compute this part of the network, which lets go of its own layers where it needs them no more."""


class Points(Part):
    """Fine features (R, P, C) and coarse logits (R, P, K + X) of points to the point head's last features (R, P, F).

    Inputs of a layer are put together, and multiplied once: as 8-bit integers they are quickly copied, and a product
    more is a rounding and a pass more. In float32 PyTorch does better with two products (:class:`PointHead`).
    """

    name = "points"
    side_by_side = True

    def __init__(self, head: PointHead, channels: int, coarse_maps: int) -> None:
        super().__init__()
        self.head = head
        self.inputs = ((-1, -1, channels), (-1, -1, coarse_maps))

    def forward(self, fine: Tensor, coarse: Tensor) -> tuple[Tensor, ...]:
        """Run all but the predictor, which computes no more classes than are wanted."""
        hidden = fine
        for index in range(1, self.head.config.num_fc + 1):
            if index == 1 or self.head.config.coarse_pred_each_layer:
                hidden = torch.cat([hidden, coarse], dim=2)
            hidden = F.relu(F.linear(hidden, *self.head.layer(index)))
        return (hidden,)

    def shapes(self, *inputs: Shape) -> list[Shape]:
        """See :meth:`Part.shapes`."""
        regions, points, _ = inputs[0]
        return [(regions, points, self.head.config.fc_dim)]

    def install(self, network: Network, run: Run) -> None:
        """See :meth:`Part.install`."""
        head = _point_head(network)
        head.layers = lambda fine, coarse: run(fine, coarse)[0]
        head.project = None

    def install_layers(self, network: Network, dtype: torch.dtype) -> None:
        """Let PyTorch compute the layers in another precision, with this part's weights, as it does in float32.

        Products are added up, of a map that is projected once: see :class:`PointHead`.
        """
        head, own = _point_head(network), self.head
        assert own.project is not None  # only an engine's own layers have none
        project, layers, after_projection = own.project, own.layers, own.after_projection
        head.project = lambda features: project(features.to(dtype)).float()
        head.layers = lambda fine, coarse: layers(fine.to(dtype), coarse.to(dtype)).float()
        head.after_projection = lambda fine, coarse: after_projection(fine.to(dtype), coarse.to(dtype)).float()


def _point_head(network: Network) -> PointHead:
    if isinstance(network, SemanticPointRend):
        return network.sem_seg_head.point_head
    head, _ = network.mask_heads()
    assert head is not None  # else there would be no such part
    return head.point_head
