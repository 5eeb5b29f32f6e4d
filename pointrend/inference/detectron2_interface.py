"""What this project calls of detectron2, as its documentation tells it.

Shapes: R detections, S side of a mask in cells, K classes, N images of H, W pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from torch import Tensor


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


class Structures(Protocol):
    """The module ``detectron2.structures``."""

    def Boxes(self, tensor: Tensor) -> Boxes:  # noqa: N802
        """From (R, 4)."""

    def Instances(self, image_size: tuple[int, int], **fields: Any) -> Instances:  # noqa: N802
        """Of an image of (height, width), with what is known of each."""


class RoIHeads(Protocol):
    """detectron2's ``StandardROIHeads``, PointRend's included."""

    box_in_features: Sequence[str]
    box_pooler: Callable[[Sequence[Tensor], Sequence[Boxes]], Tensor]
    box_head: Callable[[Tensor], Tensor]
    box_predictor: Callable[[Tensor], tuple[Tensor, Tensor]]

    def forward_with_given_boxes(
        self, features: Mapping[str, Tensor], instances: Sequence[Instances]
    ) -> Sequence[Instances]:
        """The same instances with their masks."""


class Images(Protocol):
    """detectron2's ``ImageList``."""

    @property
    def tensor(self) -> Tensor:
        """(N, 3, H, W), normalised and padded."""


class InstanceModel(Protocol):
    """detectron2's ``GeneralizedRCNN``."""

    backbone: Callable[[Tensor], Mapping[str, Tensor]]
    roi_heads: RoIHeads

    def preprocess_image(self, batched_inputs: Sequence[Mapping[str, Any]]) -> Images:
        """The images as the backbone takes them."""

    def inference(self, batched_inputs: Sequence[Mapping[str, Any]], *, do_postprocess: bool) -> Sequence[Instances]:
        """What each image shows; without post-processing, as it leaves the network."""


class SemanticModel(Protocol):
    """detectron2's ``SemanticSegmentor``."""

    def __call__(self, batched_inputs: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Tensor]]:
        """``sem_seg`` of each image: logits (K, height, width)."""
