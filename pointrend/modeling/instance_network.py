"""What every network that finds single objects can be asked for, however it finds them.

Shapes: R regions, C channels, S side of a mask in cells. Boxes are (x0, y0, x1, y1) in pixels of the network's input.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor, nn

from pointrend.config.schema import InstanceConfig
from pointrend.modeling.roi_heads.box_head import Detections
from pointrend.modeling.roi_heads.mask_chunk import MaskChunk
from pointrend.modeling.roi_heads.mask_head import ConvMaskHead
from pointrend.modeling.roi_heads.point_mask_head import PointRendMaskHead


class InstanceNetwork(nn.Module, ABC):
    """Boxes first, then a mask for each of those that are wanted, read from the same feature maps.

    Attributes:
        config: what it was built from.
        trunk: maps images (1, 3, H, W) to all that does not depend on what is found in them; an engine may put its own
            there.
    """

    config: InstanceConfig
    trunk: Callable[[Tensor], Any]

    @abstractmethod
    def detect(self, images: Tensor, image_size: tuple[int, int]) -> tuple[dict[str, Tensor], Detections]:
        """Find the objects of one image.

        Args:
            images: (1, 3, H, W) float32, normalised, zero-padded at the bottom and right to multiples of 32.
            image_size: height and width before padding.

        Returns:
            the feature maps that masks are read from, ``p2`` and coarser, and the detections by descending score.

        Raises:
            ValueError: more or fewer images than one.
        """

    @abstractmethod
    def feature_maps(self, images: Tensor) -> dict[str, Tensor]:
        """The maps of :meth:`detect` alone, for regions that are known; ``images`` as there."""

    @abstractmethod
    def region_classes(self, features: dict[str, Tensor], boxes: Tensor) -> Tensor | None:
        """The most probable class (R,) int64 of each of the given regions.

        Args:
            features: of one image, each level (1, C, H, W).
            boxes: (R, 4); R may be 0.

        Returns:
            None where the network does not classify regions, and its masks are the same for every class.
        """

    @abstractmethod
    def mask_logits(self, features: dict[str, Tensor], boxes: Tensor, classes: Tensor, refinement: int = 4) -> Tensor:
        """Masks of the given regions, each for its own class only.

        Args:
            features: of one image, each level (1, C, H, W).
            boxes: (R, 4); R may be 0.
            classes: (R,) int64.
            refinement: how far PointRend refines: 0 stops at the coarse mask, 4 is everything (S = 7, 28, 56, 112,
                224). Mask R-CNN's head knows one resolution (S = 28) and ignores it.

        Returns:
            (R, S, S) logits, relative to each box.

        Raises:
            ValueError: a negative refinement.
        """

    @abstractmethod
    def mask_chunks(
        self, features: dict[str, Tensor], boxes: Tensor, classes: Tensor, refinement: int
    ) -> Iterator[MaskChunk]:
        """The masks of :meth:`mask_logits` in those parts that are refined together, one step at a time.

        Arguments as there. Once every step is done, the logits are equal to those of :meth:`mask_logits`, bit by bit.

        Raises:
            ValueError: the model does not refine its masks at points.
        """

    @abstractmethod
    def last_points(self, features: dict[str, Tensor], boxes: Tensor, classes: Tensor, refinement: int) -> Tensor:
        """The points (R, P, 2), (x, y) in [0, 1] relative to each box, that the last step of mask_logits() predicted.

        Arguments as in :meth:`mask_logits`. P is 0 for the coarse mask, the whole first grid after step 1, and the
        places that were least certain after each further one.

        Raises:
            ValueError: the model does not refine its masks at points.
        """

    @abstractmethod
    def mask_heads(self) -> tuple[PointRendMaskHead | None, ConvMaskHead | None]:
        """PointRend's mask head, and one of constant resolution; None where the network has no such head."""

    @abstractmethod
    def constant_mask_logits(self, features: dict[str, Tensor], boxes: Tensor, classes: Tensor) -> Tensor:
        """Masks of the second, constant-resolution head that a PointRend may carry; arguments as in mask_logits().

        Returns:
            (R, 28, 28) logits, relative to each box.

        Raises:
            ValueError: the model carries no such head.
        """
