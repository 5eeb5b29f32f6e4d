"""Run a model with detectron2 itself, where that is installed: the same options, and the same answers.

detectron2 computes what its network finds; the image's resizing, the choice of what was asked for, and the drawing
of masks are this project's. Its masks are always refined all the way, as with ``exact=true``. It is imported when
a model is loaded; :func:`load` is all that needs it.

Shapes: R detections, S side of a mask in cells, K classes, h, w of the resized image in pixels.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pointrend.config.files import config_to_dict
from pointrend.config.schema import AnyConfig, ModelConfig, NetworkConfig, SemanticConfig
from pointrend.engines import DETECTRON2, require, require_fit
from pointrend.errors import CheckpointError, ConfigError
from pointrend.inference.base import Encoded, Segmenter, require_defaults_of_points
from pointrend.inference.detections import RawDetections, encode_detections, keep, to_image
from pointrend.inference.semantic import SemanticSegmenter
from pointrend.masks.semantic import ClassMap
from pointrend.modeling.preprocess import resize
from pointrend.modeling.rcnn import Detections
from pointrend.modeling.semantic import DenseLogits, resized_classes
from pointrend.structures.model_info import ModelInfo
from pointrend.structures.options import Options
from pointrend.weights.checkpoint import read_checkpoint
from pointrend.weights.folder import ModelFolder

# What detectron2's modules hold besides weights, under some versions: it follows from the configuration.
_DERIVED = re.compile(r"pixel_(mean|std)|.*\.cell_anchors\.\d+|.*\.num_batches_tracked")
_SECOND_HEAD = "roi_heads.conv_mask_head."  # this project's own, which detectron2 has no place for


class Boxes(Protocol):
    """detectron2's boxes."""

    @property
    def tensor(self) -> Tensor:
        """(R, 4)."""


class Instances(Protocol):
    """What an R-CNN of detectron2's finds in one image, in the resized image's pixels."""

    @property
    def pred_boxes(self) -> Boxes:
        """Of all R."""

    @property
    def scores(self) -> Tensor:
        """(R,) in [0, 1], best first."""

    @property
    def pred_classes(self) -> Tensor:
        """(R,) int64."""

    @property
    def pred_masks(self) -> Tensor:
        """(R, 1, S, S) probabilities over each box; PointRend's head leaves the field out where R is 0."""

    def has(self, name: str) -> bool:
        """Whether a field is there."""

    def to(self, device: str) -> Instances:
        """The same on another device."""


class InstanceModel(Protocol):
    """detectron2's ``GeneralizedRCNN``."""

    def inference(self, batched_inputs: Sequence[Mapping[str, Any]], *, do_postprocess: bool) -> Sequence[Instances]:
        """What each image shows; without post-processing, as it leaves the network."""


class SemanticModel(Protocol):
    """detectron2's ``SemanticSegmentor``."""

    def __call__(self, batched_inputs: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Tensor]]:
        """``sem_seg`` of each image: logits (K, height, width)."""


class Detectron2Segmenter(Segmenter[RawDetections]):
    """PointRend or Mask R-CNN, run by detectron2.

    Args:
        model: built, with its weights, in evaluation mode.
        config: of the model.
        info: its name, version and categories.
    """

    tasks = ("instances", "detection", "semantic")
    engine = DETECTRON2
    has_points = False  # they are not told, nor can their refinement be stopped
    has_conv_head = False
    _no_boxes = f"is run by the engine {DETECTRON2} here, which finds its own boxes"

    def __init__(self, model: InstanceModel, config: ModelConfig, info: ModelInfo) -> None:
        self.model = model
        self.config = config
        self.info = info

    def _infer(self, image: NDArray[np.uint8], options: Options, wanted: list[int] | None) -> RawDetections:
        resized = resize(image, self.config)
        (instances,) = self.model.inference([network_input(resized, self.config)], do_postprocess=False)
        detections, masks = read_instances(instances.to("cpu"))
        boxes = to_image(detections.boxes, (resized.shape[0], resized.shape[1]), image.shape[:2])
        kept = keep(detections, boxes, options, wanted)
        found = RawDetections(boxes[kept], detections.classes[kept], detections.scores[kept])
        # An infinite logit is no harm: it is the probability 0 or 1 again.
        return found if options.task == "detection" else replace(found, logits=list(masks[kept].logit()))

    def _encode(self, raw: RawDetections, size: tuple[int, int], options: Options) -> Encoded:
        return encode_detections(raw, self.info.categories, size, options, self.config.mask_calibration)

    def _check_refinement(self, options: Options) -> None:
        check_refinement(options, self.info.name)


class Detectron2SemanticSegmenter(SemanticSegmenter):
    """Semantic PointRend, run by detectron2.

    Args:
        model: built, with its weights, in evaluation mode.
        config: of the model.
        info: its name, version and categories.
    """

    engine = DETECTRON2
    has_points = False

    def __init__(self, model: SemanticModel, config: SemanticConfig, info: ModelInfo) -> None:
        self.detectron2_model = model
        self.config = config
        self.info = info

    def _classify(self, image: NDArray[np.uint8], refinement: int) -> ClassMap:
        resized = resize(image, self.config)
        size = resized.shape[0], resized.shape[1]
        # Logits of all classes at a large image's size would fill the memory: asked for is the network's own size.
        (answer,) = self.detectron2_model([network_input(resized, self.config)])
        logits = DenseLogits(answer["sem_seg"].cpu())
        classes = resized_classes(logits, size, (image.shape[0], image.shape[1]))
        return classes.numpy().astype(np.uint16) + np.uint16(1)

    def _check_refinement(self, options: Options) -> None:
        check_refinement(options, self.info.name)


def load(folder: ModelFolder) -> Detectron2Segmenter | Detectron2SemanticSegmenter:
    """Load a model folder into detectron2; on a GPU where there is one.

    Raises:
        ConfigError: detectron2 is not installed, or has no such network.
        CheckpointError: the weights cannot be read, or fit no network that detectron2 makes of the configuration.
    """
    tree = configuration(folder.network)
    require(DETECTRON2)
    try:
        from detectron2.config import CfgNode, get_cfg
        from detectron2.modeling import build_model
        from detectron2.projects.point_rend import add_pointrend_config
    except ImportError as error:
        raise ConfigError(
            f"engine: {DETECTRON2} is installed, but cannot be imported with its project PointRend: {error}. It needs "
            f"a torchvision for the same torch."
        ) from error
    cfg = get_cfg()
    add_pointrend_config(cfg)
    cfg.merge_from_other_cfg(CfgNode(tree))
    cfg.MODEL.DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
    model = build_model(cfg).eval()
    load_weights(model, read_checkpoint(folder.weights))
    if isinstance(folder.network, SemanticConfig):
        return Detectron2SemanticSegmenter(model, folder.network, folder.info)
    assert isinstance(folder.network, ModelConfig)  # configuration() has refused others
    return Detectron2Segmenter(model, folder.network, folder.info)


def configuration(config: AnyConfig) -> dict[str, Any]:
    """The configuration in detectron2's keys alone, nested; what has its defaults is left out.

    Raises:
        ConfigError: detectron2 has no such network.
    """
    require_fit(DETECTRON2, config)
    if isinstance(config, ModelConfig):
        # What detectron2 has no keys for.
        conv_mask = config.conv_mask if config.point_head is None else None
        config = replace(config, conv_mask=conv_mask, mask_calibration=(1.0, 0.0))
    return config_to_dict(config)


def load_weights(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load a checkpoint; a second mask head's weights are skipped.

    Raises:
        CheckpointError: a tensor is missing, too many, or of another shape.
    """
    own = {name: tensor.float() for name, tensor in state.items() if not name.startswith(_SECOND_HEAD)}
    try:
        missing, unexpected = model.load_state_dict(own, strict=False)
    except RuntimeError as error:
        raise CheckpointError(f"detectron2's network does not accept these weights: {error}") from error
    for kind, names in (("lacks", missing), ("has no place for", unexpected)):
        weights = [name for name in names if not _DERIVED.fullmatch(name)]
        if weights:
            subject = "the checkpoint" if kind == "lacks" else "detectron2's network"
            raise CheckpointError(
                f"detectron2's network does not accept these weights: {subject} {kind} {weights[0]}"
                + (f" and {len(weights) - 1} more." if len(weights) > 1 else ".")
            )


def network_input(resized: NDArray[np.uint8], config: NetworkConfig) -> dict[str, Any]:
    """A resized image (h, w, 3), RGB, as detectron2's models take it: (3, h, w) float32 in the network's channels."""
    channels = resized[:, :, ::-1] if config.input_format == "BGR" else resized
    planes = torch.from_numpy(np.ascontiguousarray(channels.transpose(2, 0, 1), dtype=np.float32))
    return {"image": planes, "height": resized.shape[0], "width": resized.shape[1]}


def read_instances(instances: Instances) -> tuple[Detections, Tensor]:
    """The detections, in the resized image's pixels, and their masks' probabilities (R, S, S)."""
    detections = Detections(instances.pred_boxes.tensor, instances.scores, instances.pred_classes)
    masks = instances.pred_masks[:, 0] if instances.has("pred_masks") else torch.zeros(len(instances.scores), 1, 1)
    return detections, masks


def check_refinement(options: Options, model: str) -> None:
    """Refuse what detectron2 cannot be asked for.

    Raises:
        InvalidOption: ``points``, ``zoom``, or a ``refinement`` that is not full.
    """
    require_defaults_of_points(
        options,
        points=f"points=true: the engine {DETECTRON2}, which runs {model} here, does not report its points.",
        refinement=f"refinement={options.refinement}: the engine {DETECTRON2}, which runs {model} here, always refines "
        "masks all the way.",
        zoom=f"zoom=true: the engine {DETECTRON2}, which runs {model} here, does not show its features.",
    )
