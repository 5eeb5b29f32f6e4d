"""PointRend's mask head: a coarse mask of all classes, then the predicted class's mask refined at points.

Shapes: R regions, C channels, K classes, X context maps, S side of a mask in cells. Boxes are (x0, y0, x1, y1) in
pixels of the network's input.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from pointrend.config.schema import CoarseMaskConfig, PointHeadConfig
from pointrend.modeling.backbone.fpn import STRIDES
from pointrend.modeling.point_rend import (
    FeatureMap,
    PointHead,
    next_points,
    regular_points,
    sample_in_boxes,
    subdivision_plan,
)
from pointrend.modeling.roi_heads.mask_chunk import MaskChunk, PointFeatures
from pointrend.modeling.roi_heads.mask_head import CoarseMaskHead
from pointrend.modeling.side_by_side import side_by_side

FINE_LEVEL = "p2"  # where both heads read their features
# Regions that a mask head computes together: enough for large matrix products.
REGIONS_AT_ONCE = 16
# Regions whose points a CPU refines together: few enough for their features, 8 MB for the usual 784 points, to stay in
# its cache and in memory that the process holds already, which saves a seventh of the processor time that 16 take.
# Fewer would save no more, and let several threads wait for each other more often.
REGIONS_IN_CACHE = 8


class PointRendMaskHead(nn.Module):
    """``coarse_head`` and ``point_head`` of a PointRend R-CNN.

    ``coarse`` maps sampled features (R, C, S, S) as ``coarse_head`` does; an engine may put its own there.

    Args:
        channels: C of the pyramid.
        num_classes: K.
        class_agnostic: points get one logit for all classes.
        coarse_level: where the coarse head reads its features; points read theirs at :data:`FINE_LEVEL`.

    Attributes:
        first_side: cells a side of the first grid, all of whose points are predicted.
        doublings: how many times it is doubled to refine a mask all the way.
    """

    def __init__(
        self,
        channels: int,
        num_classes: int,
        coarse: CoarseMaskConfig,
        points: PointHeadConfig,
        *,
        class_agnostic: bool = False,
        coarse_level: str = FINE_LEVEL,
    ) -> None:
        super().__init__()
        self.coarse_level = coarse_level
        self.class_agnostic = class_agnostic
        self.coarse_head = CoarseMaskHead(channels, num_classes, coarse)
        self.coarse: Callable[[Tensor], Tensor] = self._coarse
        maps = self.coarse_head.num_maps
        self.point_head = PointHead(channels, maps, 1 if class_agnostic else num_classes, points)
        self.first_side, self.doublings = subdivision_plan(coarse.side, points)

    def forward(self, features: dict[str, Tensor], boxes: Tensor, classes: Tensor, refinement: int) -> Tensor:
        """Mask logits (R, S, S) of one image's regions.

        Args:
            features: the pyramid, each level (1, C, H, W).
            boxes: (R, 4).
            classes: (R,) int64.
            refinement: 0 for the coarse mask; 1 for the first grid of points, and each more doubles it, as far as
                the model's subdivision steps go. For the usual 7 and 784 points S is 7, 28, 56, 112, 224.
        """
        fine, coarse = self._read(features, boxes)
        chunks = self._chunks(
            fine, coarse, self._coarse_masks(coarse, classes), boxes, classes, self._steps(refinement)
        )
        return _finished(chunks, coarse, self._side(self._steps(refinement)))

    def refine(self, fine: FeatureMap, boxes: Tensor, classes: Tensor, coarse: Tensor, doublings: int) -> Tensor:
        """Refine coarse masks at points.

        Args:
            fine: the map that points read.
            boxes: (R, 4).
            classes: (R,) int64.
            coarse: (R, K + X, 7, 7) of :meth:`coarse_logits`.
            doublings: of the first grid. Those beyond the model's own predict twice as many points each time, as an
                outline has twice as many cells.

        Returns:
            (R, S, S) logits.
        """
        steps = 1 + doublings
        # The first step predicts its grid as a whole, from whatever mask.
        return _finished(self._chunks(fine, coarse, coarse[:, 0], boxes, classes, steps), coarse, self._side(steps))

    def chunks(
        self, features: dict[str, Tensor], boxes: Tensor, classes: Tensor, refinement: int
    ) -> Iterator[MaskChunk]:
        """What :meth:`forward` refines together, with coarse masks so far; arguments as there."""
        fine, coarse = self._read(features, boxes)
        masks = self._coarse_masks(coarse, classes)
        return self._chunks(fine, coarse, masks, boxes, classes, self._steps(refinement))

    def _read(self, features: dict[str, Tensor], boxes: Tensor) -> tuple[FeatureMap, Tensor]:
        """The map that points read, and the coarse logits and context."""
        fine = FeatureMap.of(features[FINE_LEVEL], STRIDES[FINE_LEVEL])
        return fine, self.coarse_logits(self.coarse_map(features, fine), boxes)

    def _coarse_masks(self, coarse: Tensor, classes: Tensor) -> Tensor:
        return coarse[torch.arange(len(coarse), device=coarse.device), classes]

    def _chunks(
        self, fine: FeatureMap, coarse: Tensor, masks: Tensor, boxes: Tensor, classes: Tensor, steps: int
    ) -> Iterator[MaskChunk]:
        """Masks (R, 7, 7) that are yet to be refined, in chunks."""
        counts = tuple(self._points(step) for step in range(1, steps))
        points = len(boxes) * (self.first_side**2 + sum(counts))
        read = PointFeatures(lambda: self._point_features(fine, points))
        point_classes = torch.zeros_like(classes) if self.class_agnostic else classes
        most = REGIONS_IN_CACHE if boxes.device.type == "cpu" else REGIONS_AT_ONCE
        count = math.ceil(len(boxes) / max(math.ceil(len(boxes) / most), 1)) or most  # all of about one size
        for start in range(0, len(boxes), count):
            place = slice(start, start + count)
            regions = (boxes[place], point_classes[place], coarse[place])
            yield MaskChunk(place, masks[place], steps, self.point_head, read, self.first_side, counts, *regions)

    def _steps(self, refinement: int) -> int:
        """How many steps a refinement takes, as far as the model's own go."""
        return min(refinement, 1 + self.doublings)

    def _side(self, steps: int) -> int:
        """Cells a side after so many steps."""
        return self.first_side * 2 ** (steps - 1) if steps else self.coarse_head.config.side

    def _point_features(self, fine: FeatureMap, points: int) -> FeatureMap:
        """The map as points read it: projected where that many points cost more than its cells."""
        if self.point_head.project is None or points <= len(fine.rows):
            return fine
        return replace(fine, rows=self.point_head.project(fine.rows), projected=True)

    def _points(self, doubling: int) -> int:
        """How many points a doubling, counted from 1, predicts anew at most."""
        return self.point_head.config.subdivision_points << max(doubling - self.doublings, 0)

    def last_points(self, features: dict[str, Tensor], boxes: Tensor, classes: Tensor, refinement: int) -> Tensor:
        """The points (R, P, 2) that the last step of :meth:`forward` predicts; P is 0 for the coarse mask.

        Arguments as in :meth:`forward`; the steps before are run again to find them.
        """
        if refinement == 0:
            return boxes.new_empty(len(boxes), 0, 2)
        doublings = min(refinement - 1, self.doublings)
        if doublings == 0:
            return regular_points(self.first_side).to(boxes.device).expand(len(boxes), -1, -1)
        before = self(features, boxes, classes, doublings)
        return next_points(before, self.point_head.config.subdivision_points)[2]

    def coarse_map(self, features: dict[str, Tensor], fine: FeatureMap) -> FeatureMap:
        """The map that the coarse head reads; ``fine`` is the one that points read, which may be the same."""
        level = self.coarse_level
        return fine if level == FINE_LEVEL else FeatureMap.of(features[level], STRIDES[level])

    def coarse_logits(self, map_: FeatureMap, boxes: Tensor) -> Tensor:
        """Coarse logits and context maps (R, K + X, 7, 7), all of which the point head takes as features."""
        side = self.coarse_head.config.pooler_resolution
        sampled = sample_in_boxes(map_, boxes, regular_points(side).to(boxes.device))
        return self.coarse(sampled.transpose(1, 2).reshape(len(boxes), map_.rows.shape[1], side, side))

    def _coarse(self, sampled: Tensor) -> Tensor:
        logits: Tensor = self.coarse_head(sampled)
        return logits


def _finished(chunks: Iterable[MaskChunk], coarse: Tensor, side: int) -> Tensor:
    """The masks (R, side, side) of all chunks, each refined to its end by one thread of a CPU."""
    masks = coarse.new_empty(len(coarse), side, side)

    def finish(chunk: MaskChunk) -> None:
        while not chunk.is_finished:
            chunk.step()
        masks[chunk.place] = chunk.logits
        chunk.logits = masks[chunk.place]  # lets go of its own

    waiting = list(chunks)
    if not waiting or waiting[0].is_finished or masks.device.type != "cpu":
        for chunk in waiting:
            finish(chunk)
    else:
        waiting[0].features.make_ready()  # which all share
        side_by_side(finish, waiting)
    return masks
