"""The weights a training starts from: random ones, a published trunk's, or another model's as far as they fit."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pointrend.errors import CheckpointError
from pointrend.modeling.backbone.efficientnet import EfficientNetLite
from pointrend.modeling.instance_network import InstanceNetwork
from pointrend.modeling.layers import BatchNorm, ConvNorm
from pointrend.modeling.one_stage.mask_features import SeparableBlock
from pointrend.modeling.one_stage.network import OneStage
from pointrend.modeling.rcnn import RCNN
from pointrend.modeling.roi_heads.mask_head import CoarseMaskHead
from pointrend.structures.model_info import Category
from pointrend.weights.checkpoint import load_into

# TensorFlow's networks add this to a variance, ours the other; the difference goes into the variance itself.
_PUBLISHED_EPS = 1e-3
RARE = -4.6  # the logit of 0.01: how seldom a cell is one of an object (focal loss, arXiv:1708.02002, section 4.1)


def randomise(model: InstanceNetwork) -> None:
    """Random weights as in the papers: He's for layers that a ReLU follows, small normal ones for predictions.

    Small predictions make every class, mask and offset start undecided; a one-stage model's cells start as background.
    Its mask features' residual blocks start as the identity (arXiv:1706.02677, section 5.1).
    """
    for module in model.modules():
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    if isinstance(model, RCNN):
        rpn = model.proposal_generator.rpn_head
        for layer in (rpn.conv, rpn.objectness_logits, rpn.anchor_deltas, model.roi_heads.box_predictor.cls_score):
            nn.init.normal_(layer.weight, std=0.01)
    elif isinstance(model, OneStage):
        for name, level in model.detector.head.named_children():
            if name.startswith("predict") and isinstance(level, nn.Conv2d) and level.bias is not None:
                nn.init.normal_(level.weight, std=0.01)
                nn.init.constant_(level.bias[: model.config.num_classes], RARE)
    for name, layer in model.named_modules():
        if name.endswith(("bbox_pred", "predictor")) and isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d):
            nn.init.normal_(layer.weight, std=0.001)
        elif isinstance(layer, CoarseMaskHead):
            # Context maps are features, not predictions.
            nn.init.normal_(layer.prediction.weight[: layer.num_classes * layer.config.side**2], std=0.001)
        elif isinstance(layer, SeparableBlock) and layer.pointwise.norm is not None:
            nn.init.zeros_(layer.pointwise.norm.weight)


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What came of loading weights: tensors taken whole, rows taken by category, and tensors left as they were."""

    whole: tuple[str, ...]
    by_category: tuple[str, ...]
    remade: tuple[str, ...]


def load_trunk(model: RCNN, published: Mapping[str, Tensor]) -> None:
    """Take a trunk's ImageNet weights under their published names.

    Args:
        model: with an EfficientNet-Lite trunk.
        published: tensors named ``_conv_stem.weight``, ``_blocks.0._depthwise_conv.weight`` and so on; what belongs
            to the classifier is left out.

    Raises:
        CheckpointError: the trunk is of another kind, or a tensor is missing or of another shape.
    """
    trunk = model.backbone.bottom_up
    if not isinstance(trunk, EfficientNetLite):
        raise CheckpointError("Weights of an EfficientNet-Lite fit no ResNet: BACKBONE.NAME decides.")
    layers = [(name, layer) for name, layer in trunk.named_modules() if isinstance(layer, ConvNorm)]
    published_names = _layer_names(published)
    if len(layers) != len(published_names):
        raise CheckpointError(
            f"These weights have {len(published_names)} convolutions, but the configured trunk has {len(layers)}."
        )
    state = {}
    for (own, _), (conv, norm) in zip(layers, published_names, strict=True):
        state[f"{own}.weight"] = _published(published, f"{conv}.weight")
        for part in ("weight", "bias", "running_mean", "running_var"):
            state[f"{own}.norm.{part}"] = _published(published, f"{norm}.{part}")
        state[f"{own}.norm.running_var"] += _PUBLISHED_EPS - BatchNorm.eps
    load_into(trunk, state)


def _layer_names(published: Mapping[str, Tensor]) -> list[tuple[str, str]]:
    """Published names of each convolution and its norm, from the stem on."""
    blocks = sorted({int(found[1]) for name in published if (found := re.match(r"_blocks\.(\d+)\.", name))})
    names = [("_conv_stem", "_bn0")]
    for index in blocks:
        prefix = f"_blocks.{index}."
        if f"{prefix}_expand_conv.weight" in published:
            names.append((f"{prefix}_expand_conv", f"{prefix}_bn0"))
        names += [(f"{prefix}_depthwise_conv", f"{prefix}_bn1"), (f"{prefix}_project_conv", f"{prefix}_bn2")]
    return names


def _published(published: Mapping[str, Tensor], name: str) -> Tensor:
    if name not in published:
        raise CheckpointError(f"These are not weights of an EfficientNet-Lite: {name} is missing.")
    return published[name].float().clone()


def load_fitting(
    model: nn.Module, state: Mapping[str, Tensor], categories: Sequence[Category], known: Sequence[Category]
) -> LoadReport:
    """Take another model's weights as far as they fit, for fine-tuning on other categories.

    Rows that belong to a category which both models know (by id and name) are taken over; rows of new ones stay
    random. Layers that take all classes' coarse masks as input have their columns treated alike.

    Args:
        model: initialised.
        state: the other model's tensors.
        categories: of ``model``, in its order.
        known: of the other model, in its order.

    Raises:
        CheckpointError: not one tensor fits.
    """
    own = model.state_dict()
    layout = _layout(model)
    kept = [(new, known.index(category)) for new, category in enumerate(categories) if category in known]
    whole, by_category, remade = [], [], []
    same = list(categories) == list(known)
    for name, tensor in own.items():
        other = state[name].to(tensor.dtype) if name in state else None
        if other is not None and other.shape == tensor.shape and (same or not layout.has(name)):
            tensor.copy_(other)
            whole.append(name)
        elif (
            other is not None
            and layout.has(name)
            and _copy_rows(layout, name, tensor, other, kept=kept, new_count=len(categories), old_count=len(known))
        ):
            by_category.append(name)
        else:
            remade.append(name)
    if not whole:
        raise CheckpointError("These weights fit nothing in the model: is it another backbone?")
    model.load_state_dict(own)
    return LoadReport(tuple(whole), tuple(by_category), tuple(remade))


_ROWS = re.compile(
    r"(cls_score|bbox_pred|coarse_head\.prediction|point_head\.predictor|conv_mask_head\.predictor|mask_head\.predictor)\.(weight|bias)$"
)
_PREDICTIONS = re.compile(r"detector\.head\.predict\d+\.(weight|bias)$")
_COLUMNS = re.compile(r"point_head\.(fc\d+|predictor)\.weight$")


@dataclass(frozen=True, slots=True)
class _Layout:
    """Which of a model's tensors have something for each category.

    Attributes:
        rows: of those with rows for each.
        columns: of those with columns for each, the last ones.
        boxes: rows of all categories together after those in ``rows``: they say where an object is, whatever it is.
    """

    rows: re.Pattern[str]
    columns: re.Pattern[str] | None = None
    boxes: int = 0

    def has(self, name: str) -> bool:
        """Whether the tensor is one of them."""
        return bool(self.rows.search(name)) or self.by_column(name)

    def by_column(self, name: str) -> bool:
        """Whether the tensor has columns for each category."""
        return self.columns is not None and self.columns.search(name) is not None


def _layout(model: nn.Module) -> _Layout:
    if isinstance(model, OneStage):  # whose masks are one for all categories
        return _Layout(_PREDICTIONS, boxes=4 * model.config.head.bins)
    return _Layout(_ROWS, _COLUMNS)


def _copy_rows(
    layout: _Layout,
    name: str,
    tensor: Tensor,
    other: Tensor,
    *,
    kept: Sequence[tuple[int, int]],
    new_count: int,
    old_count: int,
) -> bool:
    """Copy what belongs to shared categories, in place; False where the shapes have nothing in common."""
    columns = layout.by_column(name)
    new_inputs, old_inputs = (tensor.shape[1] - new_count, other.shape[1] - old_count) if columns else (0, 0)
    if columns and new_inputs != old_inputs:
        return False
    if layout.rows.search(name):
        new_rows, old_rows = tensor.shape[0], other.shape[0]
        # After those of categories: background's, which is learnt against theirs, or the boxes'.
        shared = layout.boxes or int("cls_score" in name)
        per_class = (new_rows - shared) // new_count
        if (old_rows - shared) != per_class * old_count or tensor.shape[2:] != other.shape[2:]:
            return False
        rows = [(new * per_class + i, old * per_class + i) for new, old in kept for i in range(per_class)]
        if rows or layout.boxes:
            rows += [(new_rows - index, old_rows - index) for index in range(1, shared + 1)]
    elif tensor.shape[0] == other.shape[0]:
        rows = [(index, index) for index in range(tensor.shape[0])]
    else:
        return False
    if not rows or (columns and not kept):
        return False
    new_index, old_index = (torch.tensor(side) for side in zip(*rows, strict=True))
    if not columns:
        if tensor.shape[1:] != other.shape[1:]:
            return False
        tensor[new_index] = other[old_index]
        return True
    taken = torch.zeros_like(tensor[new_index])
    taken[:, :new_inputs] = other[old_index][:, :old_inputs]
    for new, old in kept:
        taken[:, new_inputs + new] = other[old_index][:, old_inputs + old]
    tensor[new_index] = taken
    return True
