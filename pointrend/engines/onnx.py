"""Write the dense parts of a network as ONNX files, which ONNX Runtime runs from any language.

What is between them (suppression, sampling, subdivision) is left to the caller; ``pipeline.json`` holds its constants,
and ``docs/examples/onnx_predict.py`` is all of it for a one-stage model.

Shapes: R regions, P points a region, C channels, K classes, X context maps.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from pointrend.config.schema import OneStageConfig
from pointrend.engines.export import check, example
from pointrend.engines.part import Network, Part, Points, Run
from pointrend.engines.parts import Boxes, Coarse, OneStageTrunk, Trunk, parts
from pointrend.errors import ConfigError
from pointrend.modeling.backbone.fpn import LEVELS
from pointrend.modeling.backbone.fpn import STRIDES as FPN_STRIDES
from pointrend.modeling.instance_network import InstanceNetwork
from pointrend.modeling.one_stage.ghost_pan import STRIDES as PREDICTED_STRIDES
from pointrend.modeling.one_stage.mask_features import STRIDES as MASK_STRIDES
from pointrend.modeling.point_rend import subdivision_plan
from pointrend.modeling.preprocess import SIZE_DIVISOR
from pointrend.modeling.roi_heads.point_mask_head import FINE_LEVEL, PointRendMaskHead
from pointrend.system.extras import require_modules
from pointrend.weights.checkpoint import load_network, read_checkpoint
from pointrend.weights.folder import ModelFolder

OPSET = 17
MOST_OFF = 0.001  # of an output's own size, by their norms; another order of sums comes to 1e-6
PIPELINE = "pipeline.json"


class PointLogits(Points):
    """Fine features (R, P, C) and coarse logits (R, P, K + X) of points to logits (R, P), of classes (R,) int64.

    A network whose masks are the same for all classes takes no classes.
    """

    def __init__(self, head: PointRendMaskHead, channels: int) -> None:
        super().__init__(head.point_head, channels, head.coarse_head.num_maps)
        self.class_agnostic = head.class_agnostic
        if not self.class_agnostic:
            self.inputs = (*self.inputs, (-1,))

    def forward(self, fine: Tensor, coarse: Tensor, classes: Tensor | None = None) -> tuple[Tensor, ...]:
        """Run the point head, its predictor included."""
        (hidden,) = super().forward(fine, coarse)
        if self.head.config.coarse_pred_each_layer:
            hidden = torch.cat([hidden, coarse], dim=2)
        weight, bias = self.head.predictor.weight[:, :, 0], self.head.predictor.bias
        assert bias is not None  # nn.Conv1d has one unless told otherwise
        if classes is None:
            return (F.linear(hidden, weight, bias)[:, :, 0],)
        return ((hidden @ weight[classes][:, :, None])[:, :, 0] + bias[classes][:, None],)

    def shapes(self, *inputs: tuple[int, ...]) -> list[tuple[int, ...]]:
        """See :meth:`Part.shapes`."""
        return [inputs[0][:2]]

    def install(self, network: Network, run: Run) -> None:
        """See :meth:`Part.install`."""
        assert isinstance(network, InstanceNetwork)  # as the one whose part it is
        head, _ = network.mask_heads()
        assert head is not None  # else there would be no such part

        def predict(fine: Tensor, coarse: Tensor, classes: Tensor, *, projected: bool = False) -> Tensor:
            assert not projected  # nothing is projected any more
            return run(fine, coarse, *(() if self.class_agnostic else (classes,)))[0]

        head.point_head.project = None
        head.point_head.predict = predict  # type: ignore[method-assign]


class OnnxRuntime:
    """A part that ONNX Runtime computes on a CPU, called as the part is.

    Args:
        path: of the part's ``.onnx``.
        part: tells the outputs' shapes.
    """

    def __init__(self, path: Path, part: Part) -> None:
        import onnxruntime  # optional

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._names = [each.name for each in self._session.get_inputs()]
        self._shapes = part.shapes

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Compute the part's outputs."""
        if 0 in inputs[0].shape:
            return tuple(torch.empty(shape) for shape in self._shapes(*(tuple(each.shape) for each in inputs)))
        given = {name: each.contiguous().numpy() for name, each in zip(self._names, inputs, strict=True)}
        return tuple(map(torch.from_numpy, self._session.run(None, given)))


def export_onnx(folder: ModelFolder, destination: Path) -> list[Path]:
    """Write a model's dense parts, with open sizes, and ``pipeline.json``; each part is run once and compared.

    Args:
        folder: of the model.
        destination: a folder, made where it is missing.

    Returns:
        the files.

    Raises:
        InaccurateExport: ONNX Runtime answers too differently.
        ConfigError: the extra ``onnx`` is missing, or the model has no mask head that refines points.
    """
    require_modules("pointrend export onnx", "onnxruntime", "onnx")
    network = load_network(folder.network, read_checkpoint(folder.weights)).eval()
    if not isinstance(network, InstanceNetwork) or network.mask_heads()[0] is None:
        raise ConfigError(f"{folder.info.name}: only models that find objects and refine masks at points are exported.")
    destination.mkdir(parents=True, exist_ok=True)
    files = []
    for part in onnx_parts(network):
        inputs, file = _example(part), destination / f"{part.name}.onnx"
        _write(part, inputs, file)
        check(part, OnnxRuntime(file, part), inputs, MOST_OFF)
        files.append(file)
    pipeline = destination / PIPELINE
    pipeline.write_text(json.dumps(describe(folder, network), indent=1) + "\n", encoding="utf-8")
    return [*files, pipeline]


def onnx_parts(network: InstanceNetwork) -> list[Part]:
    """The parts that are written: trunk, boxes of an R-CNN, coarse masks, points."""
    kept: list[Part] = [part for part in parts(network) if isinstance(part, Trunk | OneStageTrunk | Boxes | Coarse)]
    head, _ = network.mask_heads()
    assert head is not None  # the caller has seen to it
    weight, _ = head.point_head.layer(1)
    channels = weight.shape[1] - head.coarse_head.num_maps
    return [part.eval() for part in (*kept, PointLogits(head, channels))]


def describe(folder: ModelFolder, network: InstanceNetwork) -> dict[str, Any]:
    """What ``pipeline.json`` holds: how an image is prepared, and the constants of what is between the parts."""
    config = network.config
    head, _ = network.mask_heads()
    assert head is not None  # the caller has seen to it
    assert config.coarse_mask is not None  # as a head that refines points has
    assert config.point_head is not None
    first_side, doublings = subdivision_plan(config.coarse_mask.side, config.point_head)
    if isinstance(config, OneStageConfig):
        kind, detector = "one-stage", {**asdict(config.head), "strides": list(PREDICTED_STRIDES)}
        strides = MASK_STRIDES
    else:
        kind, detector = "rcnn", {"rpn": asdict(config.rpn), "box_head": asdict(config.box_head)}
        strides = FPN_STRIDES
    return {
        "kind": kind,
        "model": {"name": folder.info.name, "version": folder.info.version, "licence": folder.info.licence},
        "categories": [{"id": each.id, "name": each.name} for each in folder.info.categories],
        "input": {
            "min_size": config.min_size,
            "max_size": config.max_size,
            "keep_aspect": config.keep_aspect,
            "divisor": SIZE_DIVISOR,
            "order": config.input_format,
            "mean": list(config.pixel_mean),
            "std": list(config.pixel_std),
        },
        "detector": detector,
        "masks": {
            "class_agnostic": head.class_agnostic,
            "fine": {"map": FINE_LEVEL, "stride": strides[FINE_LEVEL]},
            "coarse": {"map": head.coarse_level, "stride": strides[head.coarse_level]},
            "bins": config.coarse_mask.pooler_resolution,
            "first_side": first_side,
            "doublings": doublings,
            "points": config.point_head.subdivision_points,
        },
    }


def _write(part: Part, inputs: tuple[Tensor, ...], file: Path) -> None:
    names, outputs = _names(part)
    axes = {
        name: {axis: f"{name}_{axis}" for axis, size in enumerate(shape) if size < 0}
        for name, shape in zip(names, part.inputs, strict=True)
    }
    with warnings.catch_warnings(), torch.no_grad():
        # Of shapes that tracing takes for constants: ours are left open. And of the exporter's age: its successor
        # needs three more packages, and ten times as long.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            part,
            inputs,
            str(file),
            input_names=names,
            output_names=outputs,
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )


def _names(part: Part) -> tuple[list[str], list[str]]:
    """A part's inputs and outputs, in their order."""
    if isinstance(part, OneStageTrunk):
        return ["image"], [*MASK_STRIDES, *(f"cells{stride}" for stride in PREDICTED_STRIDES)]
    if isinstance(part, Trunk):
        return ["image"], [*LEVELS, *(f"{what}_{level}" for what in ("objectness", "anchors") for level in LEVELS)]
    if isinstance(part, Boxes):
        return ["pooled"], ["logits", "offsets"]
    if isinstance(part, Coarse):
        return ["sampled"], ["coarse"]
    return ["fine", "coarse", "classes"][: len(part.inputs)], ["logits"]


def _example(part: Part) -> tuple[Tensor, ...]:
    inputs = example(part)
    if len(inputs) == 3:
        return (*inputs[:2], torch.arange(len(inputs[2])) % part.head.predictor.out_channels)  # type: ignore[union-attr, operator]
    return inputs
