"""What a model is made of, read from a detectron2 configuration.

Names follow detectron2's keys, which stand behind each field.
"""

from __future__ import annotations

from dataclasses import dataclass, field

POOLED_LEVELS = ("p2", "p3", "p4", "p5")
"""Levels of the pyramid that heads read, finest first: IN_FEATURES."""


@dataclass(frozen=True, slots=True)
class ResNetConfig:
    """Backbone: MODEL.RESNETS."""

    depth: int = 50  # DEPTH: 18, 34, 50, 101 or 152
    stem_channels: int = 64  # STEM_OUT_CHANNELS
    res2_channels: int = 256  # RES2_OUT_CHANNELS
    groups: int = 1  # NUM_GROUPS
    width_per_group: int = 64  # WIDTH_PER_GROUP
    stride_in_1x1: bool = True  # STRIDE_IN_1X1
    norm: str = "FrozenBN"  # NORM: "FrozenBN" or "BN"


@dataclass(frozen=True, slots=True)
class EfficientNetConfig:
    """Backbone: MODEL.EFFICIENTNET_LITE, keys of our own, as detectron2 has no such backbone."""

    variant: int = 0  # VARIANT: 0 to 4
    norm: str = "FrozenBN"  # NORM: "FrozenBN" or "BN"


@dataclass(frozen=True, slots=True)
class FPNConfig:
    """Feature pyramid: MODEL.FPN."""

    channels: int = 256  # OUT_CHANNELS
    norm: str = ""  # NORM: "" (convolutions have a bias) or "BN"


@dataclass(frozen=True, slots=True)
class RPNConfig:
    """Anchors and proposals: MODEL.ANCHOR_GENERATOR, MODEL.RPN."""

    anchor_sizes: tuple[tuple[float, ...], ...] = ((32.0,), (64.0,), (128.0,), (256.0,), (512.0,))  # SIZES, p2 to p6
    aspect_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)  # ASPECT_RATIOS: height / width
    pre_nms_topk: int = 1000  # PRE_NMS_TOPK_TEST, a level
    post_nms_topk: int = 1000  # POST_NMS_TOPK_TEST, over all levels
    nms_threshold: float = 0.7  # NMS_THRESH


@dataclass(frozen=True, slots=True)
class BoxHeadConfig:
    """Box head and its detections: MODEL.ROI_BOX_HEAD, MODEL.ROI_HEADS, TEST."""

    num_fc: int = 2  # NUM_FC
    fc_dim: int = 1024  # FC_DIM
    pooler_resolution: int = 7  # POOLER_RESOLUTION
    class_agnostic: bool = False  # CLS_AGNOSTIC_BBOX_REG
    reg_weights: tuple[float, float, float, float] = (10.0, 10.0, 5.0, 5.0)  # BBOX_REG_WEIGHTS
    score_threshold: float = 0.05  # SCORE_THRESH_TEST
    nms_threshold: float = 0.5  # NMS_THRESH_TEST
    max_detections: int = 100  # DETECTIONS_PER_IMAGE


@dataclass(frozen=True, slots=True)
class CoarseMaskConfig:
    """PointRend's coarse mask head: MODEL.ROI_MASK_HEAD with NAME PointRendMaskHead."""

    conv_dim: int = 256  # CONV_DIM
    fc_dim: int = 1024  # FC_DIM
    num_fc: int = 2  # NUM_FC
    pooler_resolution: int = 14  # POOLER_RESOLUTION
    side: int = 7  # OUTPUT_SIDE_RESOLUTION
    # CONTEXT_MAPS, of one-stage models only: further maps, without a loss of their own, that the points read.
    context_maps: int = 0


@dataclass(frozen=True, slots=True)
class PointHeadConfig:
    """PointRend's point head: MODEL.POINT_HEAD."""

    fc_dim: int = 256  # FC_DIM
    num_fc: int = 3  # NUM_FC
    coarse_pred_each_layer: bool = True  # COARSE_PRED_EACH_LAYER
    subdivision_steps: int = 5  # SUBDIVISION_STEPS
    subdivision_points: int = 784  # SUBDIVISION_NUM_POINTS


@dataclass(frozen=True, slots=True)
class ConvMaskConfig:
    """Mask R-CNN's constant-resolution head: MODEL.ROI_MASK_HEAD with NAME MaskRCNNConvUpsampleHead."""

    num_conv: int = 4  # NUM_CONV
    conv_dim: int = 256  # CONV_DIM
    pooler_resolution: int = 14  # POOLER_RESOLUTION


@dataclass(frozen=True, slots=True)
class ShuffleNetConfig:
    """Backbone: MODEL.SHUFFLENET_V2, keys of our own, as are those of the next three."""

    width: str = "1.0x"  # WIDTH: "0.5x", "1.0x" or "1.5x"


@dataclass(frozen=True, slots=True)
class GhostPANConfig:
    """A one-stage detector's pyramid: MODEL.GHOST_PAN."""

    channels: int = 96  # OUT_CHANNELS
    kernel: int = 5  # KERNEL: of the depthwise convolutions


@dataclass(frozen=True, slots=True)
class GFLHeadConfig:
    """A one-stage detector's head and its detections: MODEL.GFL_HEAD, TEST."""

    num_conv: int = 2  # NUM_CONV
    kernel: int = 5  # KERNEL: of the depthwise convolutions
    bins: int = 8  # BINS: a side's distance is from 0 to BINS - 1 strides
    score_threshold: float = 0.05  # SCORE_THRESH_TEST
    nms_threshold: float = 0.6  # NMS_THRESH_TEST
    max_detections: int = 100  # DETECTIONS_PER_IMAGE
    calibration: tuple[float, float] = (1.0, 0.0)  # SCORE_CALIBRATION: slope and offset of the scores' logits


@dataclass(frozen=True, slots=True)
class MaskFeaturesConfig:
    """What the mask heads on a one-stage detector read: MODEL.MASK_FEATURES."""

    channels: int = 64  # CHANNELS
    num_conv: int = 2  # NUM_CONV: residual separable convolutions a level
    norm: str = "BN"  # NORM: "BN" or "" (convolutions have a bias)


@dataclass(frozen=True, slots=True)
class SemanticHeadConfig:
    """Semantic FPN's head, PointRend's coarse one: MODEL.SEM_SEG_HEAD."""

    conv_dim: int = 128  # CONVS_DIM
    norm: str = "GN"  # NORM: "GN" or "" (convolutions have a bias)


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """What every network has: how many classes it knows, and how an image enters it."""

    num_classes: int  # MODEL.ROI_HEADS.NUM_CLASSES; SEM_SEG_HEAD's for a semantic model, GFL_HEAD's for a one-stage one
    pixel_mean: tuple[float, float, float]  # MODEL.PIXEL_MEAN, in the order of input_format
    pixel_std: tuple[float, float, float]  # MODEL.PIXEL_STD
    input_format: str  # INPUT.FORMAT: "BGR" or "RGB"
    min_size: int  # INPUT.MIN_SIZE_TEST: the shorter edge
    max_size: int  # INPUT.MAX_SIZE_TEST: the longer edge's limit
    # INPUT.KEEP_ASPECT_TEST, of one-stage models only: False squeezes every image into a square of min_size.
    keep_aspect: bool = field(default=True, kw_only=True)


@dataclass(frozen=True, slots=True)
class FPNConfigured(NetworkConfig):
    """A network whose backbone is a feature pyramid over a trunk."""

    trunk: ResNetConfig | EfficientNetConfig
    fpn: FPNConfig


@dataclass(frozen=True, slots=True)
class SemanticConfig(FPNConfigured):
    """A semantic PointRend: Semantic FPN, whose coarse map is refined at points (META_ARCHITECTURE SemanticSegmentor).

    :func:`pointrend.config.semantic.from_tree` reads one, and ``to_tree`` there writes it.
    """

    semantic_head: SemanticHeadConfig
    point_head: PointHeadConfig


@dataclass(frozen=True, slots=True)
class ModelConfig(FPNConfigured):
    """A PointRend R-CNN (``coarse_mask`` and ``point_head``) or a Mask R-CNN (``conv_mask``).

    A model with all three is a PointRend that carries Mask R-CNN's head beside its own, to compare them on the same
    features (MODEL.CONV_MASK_HEAD, keys of this project).
    """

    rpn: RPNConfig
    box_head: BoxHeadConfig
    coarse_mask: CoarseMaskConfig | None = None
    point_head: PointHeadConfig | None = None
    conv_mask: ConvMaskConfig | None = None
    class_agnostic_mask: bool = False  # MODEL.POINT_HEAD.CLS_AGNOSTIC_MASK; ROI_MASK_HEAD's for a Mask R-CNN
    # MODEL.ROI_MASK_HEAD.SCORE_CALIBRATION, of this project: slope and offset of the mask scores' logits.
    mask_calibration: tuple[float, float] = (1.0, 0.0)


@dataclass(frozen=True, slots=True)
class OneStageConfig(NetworkConfig):
    """PointRend on a one-stage detector, NanoDet-Plus's (META_ARCHITECTURE OneStagePointRend, of this project).

    Masks are one for all classes: ``coarse_mask``, ``point_head`` and, to compare with, ``conv_mask``.
    :func:`pointrend.config.one_stage.from_tree` reads one, and ``to_tree`` there writes it.
    """

    trunk: ShuffleNetConfig
    pyramid: GhostPANConfig
    head: GFLHeadConfig
    mask_features: MaskFeaturesConfig
    coarse_mask: CoarseMaskConfig
    point_head: PointHeadConfig
    conv_mask: ConvMaskConfig | None = None
    mask_calibration: tuple[float, float] = (1.0, 0.0)  # as a ModelConfig's


InstanceConfig = ModelConfig | OneStageConfig  # of a network that finds single objects
AnyConfig = InstanceConfig | SemanticConfig
