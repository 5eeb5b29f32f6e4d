"""Point-based mask refinement (PointRend, arXiv:1912.08193, sections 3 and 4.1).

Shapes: R regions, C channels, K classes, X context maps, P points a region, S side of a mask in cells. Boxes are
(x0, y0, x1, y1) in pixels of the network's input. Points are (x, y) in [0, 1] x [0, 1] relative to a region's box.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pointrend.config.schema import PointHeadConfig
from pointrend.modeling.sampling import bilinear_terms, feature_rows, weighted_rows


def regular_points(side: int) -> Tensor:
    """The centres (side * side, 2) of a regular grid's cells, row by row."""
    centres = (torch.arange(side) + 0.5) / side
    return torch.cartesian_prod(centres, centres).flip(1)


@dataclass(frozen=True, slots=True)
class FeatureMap:
    """One image's feature map as rows (see :func:`pointrend.modeling.sampling.feature_rows`).

    ``height`` and ``width`` count its cells, padding included; ``stride`` is a cell's size in pixels; ``projected``
    tells that the rows are what :attr:`PointHead.project` made of them.
    """

    rows: Tensor
    height: int
    width: int
    stride: int
    projected: bool = False

    @classmethod
    def of(cls, features: Tensor, stride: int) -> FeatureMap:
        """From a map (1, C, height, width)."""
        return cls(feature_rows(features), features.shape[2], features.shape[3], stride)


def sample_in_boxes(fine: FeatureMap, boxes: Tensor, points: Tensor) -> Tensor:
    """Read a feature map bilinearly at points of boxes; it is zero beyond its edge.

    Args:
        fine: the map.
        boxes: (R, 4).
        points: (R, P, 2), or (P, 2) for the same points in every box.

    Returns:
        (R, P, C).
    """
    places = boxes[:, None, :2] + points * (boxes[:, None, 2:] - boxes[:, None, :2])
    cells = (places / fine.stride - 0.5).flatten(0, 1)
    sampled = weighted_rows(fine.rows, *bilinear_terms(cells[:, 0], cells[:, 1], fine.height, fine.width))
    return sampled.view(*places.shape[:2], fine.rows.shape[1])


def sample_masks(logits: Tensor, points: Tensor) -> Tensor:
    """Read coarse masks (R, K + X, S, S) bilinearly at points (R, P, 2): (R, P, K + X); zero beyond the edge."""
    sampled = F.grid_sample(logits, 2.0 * points[:, :, None] - 1.0, mode="bilinear", align_corners=False)
    return sampled[:, :, :, 0].transpose(1, 2)


def most_uncertain_points(logits: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Pick the points whose mask is least decided: smallest |logit|.

    Args:
        logits: (R, S, S) logits of each region's predicted class.
        count: P, at most S * S.

    Returns:
        indices (R, P) into the flattened grid, and their coordinates (R, P, 2) at cell centres.
    """
    side = logits.shape[-1]
    indices = smallest(logits.flatten(1).abs(), count)
    columns, rows = indices % side, indices // side
    return indices, (torch.stack([columns, rows], dim=2) + 0.5) / side


def smallest(values: Tensor, count: int) -> Tensor:
    """Where the smallest of each row (R, N) are, in no order: (R, count)."""
    if values.device.type == "cpu":  # there NumPy's selection takes a quarter to half of topk's time, on one core
        return torch.from_numpy(np.argpartition(values.detach().numpy(), count - 1, axis=1)[:, :count])
    return values.topk(count, dim=1, largest=False, sorted=False).indices


class PointHead(nn.Module):
    """A multi-layer perceptron shared by all points; sees fine features, and coarse logits before every layer.

    Context maps, where the coarse head gives them, are read with the logits, behind them.

    Its layers are stored as 1-wide convolutions, as in published checkpoints, and applied as matrix products.
    ``layers`` maps fine features and coarse logits to the last layer's features (R, P, F); an engine may put its own
    there.

    The first layer is linear before its bias, as reading a map between its cells is. So it does not matter which comes
    first, and where points are more than cells it costs less to ``project`` the map, once; ``after_projection`` is the
    rest. An engine puts its own there too, or None for ``project`` if its layers begin with the features themselves.

    Args:
        channels: C of the features.
        coarse_maps: K + X, what is read of the coarse head.
        num_mask_classes: how many logits a point gets.
        config: of the layers.
    """

    def __init__(self, channels: int, coarse_maps: int, num_mask_classes: int, config: PointHeadConfig) -> None:
        super().__init__()
        self.config = config
        inputs = channels + coarse_maps
        for index in range(1, config.num_fc + 1):
            self.add_module(f"fc{index}", nn.Conv1d(inputs, config.fc_dim, 1))
            inputs = config.fc_dim + (coarse_maps if config.coarse_pred_each_layer else 0)
        self.predictor = nn.Conv1d(inputs, num_mask_classes, 1)
        self.layers: Callable[[Tensor, Tensor], Tensor] = self._layers
        self.project: Callable[[Tensor], Tensor] | None = self._project
        self.after_projection: Callable[[Tensor, Tensor], Tensor] = self._after_projection

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """Map fine features (R, P, C) and coarse logits (R, P, K + X) to logits of all classes (R, P, K)."""
        own, seen = self._predictor_weights()
        logits = F.linear(self.layers(fine, coarse), own, self.predictor.bias)
        return logits if seen is None else logits + F.linear(coarse, seen)

    def predict(self, fine: Tensor, coarse: Tensor, classes: Tensor, *, projected: bool = False) -> Tensor:
        """Logits (R, P) of one class (R,) each; nothing else is computed.

        Inputs as in :meth:`forward`; with ``projected``, ``fine`` is what ``project`` made of the features.
        """
        hidden = self.after_projection(fine, coarse) if projected else self.layers(fine, coarse)
        assert self.predictor.bias is not None  # nn.Conv1d has one unless told otherwise
        own, seen = self._predictor_weights()
        if len(own) == 1:  # one class for all: a product of its own for each region takes three times as long
            logit = hidden @ own[0] + self.predictor.bias
            return logit if seen is None else logit + coarse @ seen[0]
        logits = _products(hidden, own[classes], self.predictor.bias[classes])
        if seen is not None:
            logits = logits.baddbmm_(coarse, seen[classes][:, :, None])
        return logits[:, :, 0]

    def _predictor_weights(self) -> tuple[Tensor, Tensor | None]:
        """What the predictor makes of hidden features (K, F), and of coarse logits (K, K + X) where it sees them."""
        weight = self.predictor.weight[:, :, 0]
        if not self.config.coarse_pred_each_layer:
            return weight, None
        return weight[:, : self.config.fc_dim], weight[:, self.config.fc_dim :]

    def _layers(self, fine: Tensor, coarse: Tensor) -> Tensor:
        return self._after_projection(self._project(fine), coarse)

    def _project(self, features: Tensor) -> Tensor:
        weight, _ = self.layer(1)
        return F.linear(features, weight[:, : features.shape[-1]])

    def _after_projection(self, projected: Tensor, coarse: Tensor) -> Tensor:
        """All but the first layer's product with the features; products are added up instead of inputs put together."""
        # With a column of ones behind what is read of the coarse mask, its product adds the bias as well.
        seen = F.pad(coarse, (0, 1), value=1.0).flatten(0, 1)
        hidden = projected.flatten(0, 1)
        for index in range(1, self.config.num_fc + 1):
            weight, bias = self.layer(index)
            if index == 1 or self.config.coarse_pred_each_layer:
                hidden = hidden if index == 1 else torch.mm(hidden, weight[:, : self.config.fc_dim].t())
                of_seen = torch.cat([weight[:, 1 - seen.shape[1] :], bias[:, None]], dim=1)
                hidden = _plus_product(hidden, seen, of_seen.t())
            else:
                hidden = F.linear(hidden, weight, bias)
            hidden = _rectified(hidden)
        return hidden.view(*coarse.shape[:2], -1)

    def layer(self, index: int) -> tuple[Tensor, Tensor]:
        """Weights (F, inputs) and bias (F,) of a layer, counted from 1."""
        layer = cast(nn.Conv1d, self.get_submodule(f"fc{index}"))
        assert layer.bias is not None  # nn.Conv1d has one unless told otherwise
        return layer.weight[:, :, 0], layer.bias


def _plus_product(terms: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """``terms + left @ right``; in place where nobody else needs the terms, which saves a copy of them."""
    if torch.is_grad_enabled() or terms.dtype != left.dtype:  # the latter under autocast
        return torch.addmm(terms, left, right)
    return terms.addmm_(left, right)


def _rectified(features: Tensor) -> Tensor:
    """ReLU in place."""
    if features.element_size() == 2 and features.device.type == "cpu" and not torch.is_grad_enabled():
        # A negative number is one as an integer too: of 16 bits, which takes a seventh of the time of two conversions.
        features.view(torch.int16).clamp_(min=0)
        return features
    return F.relu(features, inplace=True)


def _products(features: Tensor, weights: Tensor, biases: Tensor) -> Tensor:
    """Each region's features (R, P, F) with its own weights (R, F), and its bias (R,): (R, P, 1)."""
    if features.device.type != "cpu" or torch.is_grad_enabled():
        return torch.baddbmm(biases[:, None, None], features, weights[:, :, None])
    # One by one they take two thirds of a batched product's time.
    products = torch.stack([own @ weight for own, weight in zip(features, weights, strict=True)])
    return products.add_(biases[:, None])[:, :, None]


def subdivision_plan(coarse_side: int, config: PointHeadConfig) -> tuple[int, int]:
    """Side of the first grid, all of whose points are predicted, and how many doublings follow.

    A grid that would be predicted wholly is not worth a coarser one before it: with 784 points a step, 7 becomes 28.
    """
    side, steps = coarse_side, config.subdivision_steps
    while 4 * side**2 <= config.subdivision_points:
        side, steps = 2 * side, steps - 1
    return side, max(steps, 0)


def predict_everywhere(
    head: PointHead, fine: FeatureMap, boxes: Tensor, classes: Tensor, coarse: Tensor, side: int
) -> Tensor:
    """Logits (R, side, side) predicted at every point of a regular grid; arguments as in :func:`double`."""
    points = regular_points(side).to(boxes.device).expand(len(boxes), -1, -1)
    return _predict(head, fine, boxes, classes, coarse, points).view(len(boxes), side, side)


def next_points(logits: Tensor, most: int) -> tuple[Tensor, Tensor, Tensor]:
    """Double masks, and choose where the next step predicts anew.

    Args:
        logits: (R, S, S).
        most: P, or fewer where the doubled grid has fewer cells.

    Returns:
        the doubled logits (R, 2S, 2S), indices (R, P) into their flattened grid, and those points (R, P, 2).
    """
    doubled = F.interpolate(logits[:, None], scale_factor=2.0, mode="bilinear", align_corners=False)[:, 0]
    count = min(most, doubled.shape[1] * doubled.shape[2])
    return doubled, *most_uncertain_points(doubled, count)


def double(
    head: PointHead,
    fine: FeatureMap,
    boxes: Tensor,
    classes: Tensor,
    coarse: Tensor,
    logits: Tensor,
    most: int,
) -> Tensor:
    """One step of adaptive subdivision (section 3.1): double the mask, predict anew where it is least certain.

    Args:
        head: the point head.
        fine: the feature map it reads.
        boxes: (R, 4).
        classes: (R,) rows of the head's predictor.
        coarse: (R, K + X, 7, 7) coarse logits of all classes, and context, which the head takes as features.
        logits: (R, S, S).
        most: P, how many points are predicted anew, at most.

    Returns:
        (R, 2S, 2S).
    """
    doubled, indices, points = next_points(logits, most)
    predicted = _predict(head, fine, boxes, classes, coarse, points)
    return doubled.flatten(1).scatter_(1, indices, predicted).view_as(doubled)


def _predict(
    head: PointHead, fine: FeatureMap, boxes: Tensor, classes: Tensor, coarse: Tensor, points: Tensor
) -> Tensor:
    sampled = sample_in_boxes(fine, boxes, points)
    return head.predict(sampled, sample_masks(coarse, points), classes, projected=fine.projected)
