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
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pointrend.config.files import config_to_dict
from pointrend.config.schema import AnyConfig, ModelConfig, NetworkConfig, SemanticConfig
from pointrend.engines import DETECTRON2, require, require_fit
from pointrend.errors import CheckpointError, ConfigError
from pointrend.inference.base import Encoded, Segmenter, require_defaults_of_points
from pointrend.inference.detections import NO_CLASS, RawDetections, encode_detections, keep, to_image, to_network
from pointrend.inference.detectron2_interface import InstanceModel, Instances, SemanticModel, Structures
from pointrend.inference.given_boxes import given_classes, mask_confidence
from pointrend.inference.semantic import SemanticSegmenter
from pointrend.masks.semantic import ClassMap
from pointrend.modeling.preprocess import resize
from pointrend.modeling.rcnn import Detections
from pointrend.modeling.semantic import DenseLogits, resized_classes
from pointrend.structures.boxes import BoxPrompt, check_inside
from pointrend.structures.model_info import ModelInfo
from pointrend.structures.options import Options
from pointrend.weights.checkpoint import read_checkpoint
from pointrend.weights.folder import ModelFolder

# What detectron2's modules hold besides weights, under some versions: it follows from the configuration.
_DERIVED = re.compile(r"pixel_(mean|std)|.*\.cell_anchors\.\d+|.*\.num_batches_tracked")
_SECOND_HEAD = "roi_heads.conv_mask_head."  # this project's own, which detectron2 has no place for


class Detectron2Segmenter(Segmenter[RawDetections]):
    """PointRend or Mask R-CNN, run by detectron2.

    Args:
        model: built, with its weights, in evaluation mode.
        config: of the model.
        info: its name, version and categories.
        structures: the module ``detectron2.structures``.
    """

    tasks = ("instances", "detection", "semantic")
    engine = DETECTRON2
    has_points = False  # they are not told, nor can their refinement be stopped
    has_conv_head = False
    takes_boxes = True

    def __init__(self, model: InstanceModel, config: ModelConfig, info: ModelInfo, structures: Structures) -> None:
        self.model = model
        self.config = config
        self.info = info
        self.structures = structures

    def _infer(
        self, image: NDArray[np.uint8], options: Options, wanted: list[int] | None, started: float | None
    ) -> RawDetections:
        if options.boxes is not None:
            return self._segment_boxes(image, options.boxes)
        resized = resize(image, self.config)
        (instances,) = self.model.inference([network_input(resized, self.config)], do_postprocess=False)
        detections, masks = read_instances(instances.to("cpu"))
        boxes = to_image(detections.boxes, (resized.shape[0], resized.shape[1]), image.shape[:2])
        kept = keep(detections, boxes, options, wanted)
        found = RawDetections(boxes[kept], detections.classes[kept], detections.scores[kept])
        # An infinite logit is no harm: it is the probability 0 or 1 again.
        return found if options.task == "detection" else replace(found, logits=list(masks[kept].logit()))

    def _segment_boxes(self, image: NDArray[np.uint8], boxes: Sequence[BoxPrompt]) -> RawDetections:
        """A mask for each given box, in their order; the score is the mask's.

        It is what the model's ``inference`` does with ``detected_instances``, step by step, since boxes that come
        without a class need the features too.
        """
        height, width = image.shape[:2]
        corners = torch.tensor(check_inside(boxes, width, height)).reshape(len(boxes), 4)
        classes = given_classes(boxes, self.info.categories)
        if not len(corners):
            return RawDetections(corners, classes, torch.empty(0), logits=[])
        resized = resize(image, self.config)
        network_size = resized.shape[0], resized.shape[1]
        images = self.model.preprocess_image([network_input(resized, self.config)]).tensor
        features = self.model.backbone(images)
        regions = to_network(corners, network_size, (height, width)).to(images.device)
        open_ = (classes == NO_CLASS).nonzero().flatten()
        if len(open_):
            classes[open_] = self._region_classes(features, regions[open_]).cpu()
        given = self.structures.Instances(
            network_size, pred_boxes=self.structures.Boxes(regions), pred_classes=classes.to(images.device)
        )
        (masked,) = self.model.roi_heads.forward_with_given_boxes(features, [given])
        logits = list(masked.pred_masks[:, 0].cpu().logit())
        return RawDetections(corners, classes, torch.tensor([mask_confidence(each) for each in logits]), logits)

    def _region_classes(self, features: Mapping[str, Tensor], regions: Tensor) -> Tensor:
        """What the box head says of regions (R, 4): their most probable classes (R,) int64."""
        heads = self.model.roi_heads
        pooled = heads.box_pooler([features[name] for name in heads.box_in_features], [self.structures.Boxes(regions)])
        logits, _ = heads.box_predictor(heads.box_head(pooled))
        classes: Tensor = logits[:, :-1].argmax(dim=1)  # the last is the background
        return classes

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
        from detectron2 import structures
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
    return Detectron2Segmenter(model, folder.network, folder.info, structures)


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
        InvalidOption: ``points``, ``zoom``, ``budget_ms`` or a ``refinement`` that is not full.
    """
    require_defaults_of_points(
        options,
        points=f"points=true: the engine {DETECTRON2}, which runs {model} here, does not report its points.",
        refinement=f"refinement={options.refinement}: the engine {DETECTRON2}, which runs {model} here, always refines "
        "masks all the way.",
        zoom=f"zoom=true: the engine {DETECTRON2}, which runs {model} here, does not show its features.",
        budget_ms=f"budget_ms={options.budget_ms}: the engine {DETECTRON2}, which runs {model} here, always refines "
        "masks all the way.",
    )
