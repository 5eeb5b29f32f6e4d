"""Semantic PointRend (arXiv:1912.08193, section 4.3): Semantic FPN's coarse map, refined at points.

Each pixel gets the class of its largest logit. The reference holds logits of all classes for all pixels, first at the
network's resolution and then at the image's: 160 MB for 1024x2048 and 19 classes, several times over. Here the last
doubling and the image's own size are computed in bands of rows, so that besides the coarse map only its doublings but
the last are ever held whole.

Shapes: C channels, K classes, P points, h, w of a map of logits in cells, H, W of the image as it came, in pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pointrend.config.schema import PointHeadConfig, SemanticConfig, SemanticHeadConfig
from pointrend.config.semantic import GROUPS
from pointrend.modeling.backbone.fpn import FPN, STRIDES
from pointrend.modeling.point_rend import FeatureMap, PointHead, sample_in_boxes, sample_masks, smallest

LEVELS = ("p2", "p3", "p4", "p5")
FINE_LEVEL = "p2"  # where points read their features; the coarse map has its stride too
BAND_FLOATS = 4 * 2**20  # logits of one band, 16 MiB: large enough to be fast


class GroupNormConv(nn.Conv2d):
    """A 3x3 convolution and its group norm, at ``weight`` and ``norm.*``; or with a bias and no norm."""

    def __init__(self, in_channels: int, out_channels: int, norm: str) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1, bias=norm == "")
        self.norm = nn.GroupNorm(GROUPS, out_channels) if norm == "GN" else None

    def forward(self, features: Tensor) -> Tensor:
        """Map (1, C, h, w) to (1, C', h, w), rectified."""
        out = super().forward(features)
        return F.relu(out if self.norm is None else self.norm(out), inplace=True)


class SemanticFPNHead(nn.Module):
    """Panoptic FPN's semantic branch (arXiv:1901.02446, section 3): levels brought to stride 4, summed, classified.

    Modules ``p2`` .. ``p5`` hold the convolutions at even indices, each doubled in size after it (but for p2).
    """

    def __init__(self, channels: int, num_classes: int, config: SemanticHeadConfig) -> None:
        super().__init__()
        for level in LEVELS:
            doublings = (STRIDES[level] // STRIDES[FINE_LEVEL]).bit_length() - 1
            layers: list[nn.Module] = []
            for index in range(max(1, doublings)):
                layers.append(GroupNormConv(config.conv_dim if index else channels, config.conv_dim, config.norm))
                if doublings:
                    layers.append(nn.Upsample(scale_factor=2.0, mode="bilinear", align_corners=False))
            self.add_module(level, nn.Sequential(*layers))
        self.predictor = nn.Conv2d(config.conv_dim, num_classes, 1)

    def forward(self, features: dict[str, Tensor]) -> Tensor:
        """Logits (1, K, h, w) at stride 4 from the pyramid's levels (1, C, ...)."""
        merged: Tensor = self.get_submodule(LEVELS[0])(features[LEVELS[0]])
        for level in LEVELS[1:]:
            merged += self.get_submodule(level)(features[level])
        logits: Tensor = self.predictor(merged)
        return logits


class Logits(Protocol):
    """A map of logits (K, h, w) that gives any of its rows."""

    num_classes: int
    height: int
    width: int

    def rows(self, start: int, stop: int) -> Tensor:
        """(K, stop - start, w)."""


class DenseLogits:
    """Logits (K, h, w) in memory."""

    def __init__(self, logits: Tensor) -> None:
        self._logits = logits
        self.num_classes, self.height, self.width = logits.shape

    def rows(self, start: int, stop: int) -> Tensor:
        """A view of rows."""
        return self._logits[:, start:stop]


class DoubledLogits:
    """A map doubled bilinearly, some of whose points are known better; computed when its rows are asked for.

    Args:
        source: (K, h / 2, w / 2).
    """

    def __init__(self, source: Tensor) -> None:
        self._source = source
        self.num_classes, self.height, self.width = source.shape[0], 2 * source.shape[1], 2 * source.shape[2]
        self._indices = torch.empty(0, dtype=torch.int64, device=source.device)
        self._values = source.new_empty(source.shape[0], 0)

    def replace(self, indices: Tensor, values: Tensor) -> None:
        """Set logits (K, P) at indices (P,) into the flattened map."""
        self._indices, order = indices.sort()
        self._values = values[:, order]

    def rows(self, start: int, stop: int) -> Tensor:
        """Double the rows of the source that these come from, and put in the points that lie in them."""
        # One more row of the source above and below, where there is one, is what an edge row is mixed with.
        first, last = max(start // 2 - 1, 0), min(-(-stop // 2) + 1, self._source.shape[1])
        slab = F.interpolate(self._source[None, :, first:last], scale_factor=2.0, mode="bilinear", align_corners=False)
        band = slab[0, :, start - 2 * first : stop - 2 * first].contiguous()
        bounds = torch.tensor([start * self.width, stop * self.width], device=self._indices.device)
        low, high = torch.searchsorted(self._indices, bounds).tolist()
        band.flatten(1)[:, self._indices[low:high] - start * self.width] = self._values[:, low:high]
        return band


class SemanticHead(nn.Module):
    """``coarse_sem_seg_head`` and ``point_head``."""

    def __init__(self, channels: int, num_classes: int, coarse: SemanticHeadConfig, points: PointHeadConfig) -> None:
        super().__init__()
        self.coarse_sem_seg_head = SemanticFPNHead(channels, num_classes, coarse)
        self.point_head = PointHead(channels, num_classes, num_classes, points)

    def forward(self, features: dict[str, Tensor], refinement: int) -> Logits:
        """Logits of one image's pyramid, each level (1, C, ...); see :meth:`SemanticPointRend.logits`."""
        return self.refined(features[FINE_LEVEL], self.coarse_sem_seg_head(features), refinement)

    def refined(self, features: Tensor, coarse: Tensor, refinement: int) -> Logits:
        """Coarse logits (1, K, h, w) refined at points, which read features (1, C, h, w)."""
        fine = FeatureMap.of(features, STRIDES[FINE_LEVEL])
        logits: Logits = DenseLogits(coarse[0])
        for _ in range(min(refinement, self.point_head.config.subdivision_steps)):
            logits = self.refine(fine, coarse, logits.rows(0, logits.height))
        return logits

    def refine(self, fine: FeatureMap, coarse: Tensor, logits: Tensor) -> DoubledLogits:
        """One step of subdivision: double (K, h, w), predict anew where the two best classes are closest.

        Args:
            fine: the features that points read.
            coarse: (1, K, ...) coarse logits, which points read too.
            logits: the map to refine.
        """
        doubled = DoubledLogits(logits)
        indices = self.most_uncertain_points(doubled)
        columns, rows = indices % doubled.width, indices // doubled.width
        points = torch.stack([(columns + 0.5) / doubled.width, (rows + 0.5) / doubled.height], dim=1)[None]
        size = (fine.width * fine.stride, fine.height * fine.stride)
        whole = torch.tensor([[0, 0, *size]], dtype=points.dtype, device=points.device)
        predicted: Tensor = self.point_head(sample_in_boxes(fine, whole, points), sample_masks(coarse, points))
        doubled.replace(indices, predicted[0].T)
        return doubled

    def most_uncertain_points(self, logits: Logits) -> Tensor:
        """Indices (P,) into the flattened map of the points with the smallest lead of the best class."""
        rows = _rows_of_a_band(logits.num_classes * logits.width)
        bands = (logits.rows(start, min(start + rows, logits.height)) for start in range(0, logits.height, rows))
        leads = torch.cat([_lead(band).flatten() for band in bands])
        count = min(self.point_head.config.subdivision_points, len(leads))
        return smallest(leads[None], count)[0]


class SemanticPointRend(nn.Module):
    """The whole network: ``backbone`` and ``sem_seg_head``.

    ``trunk`` maps images (1, 3, H, W) to the features (1, C, h, w) that points read, and to the coarse logits
    (1, K, h, w), both at stride 4; an engine may put its own there.

    Raises:
        ConfigError: a configuration that cannot be built.
    """

    def __init__(self, config: SemanticConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = FPN(config.trunk, config.fpn)
        self.sem_seg_head = SemanticHead(
            config.fpn.channels, config.num_classes, config.semantic_head, config.point_head
        )
        self.trunk: Callable[[Tensor], tuple[Tensor, Tensor]] = self._trunk

    def _trunk(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.backbone(images.contiguous(memory_format=torch.channels_last))
        return features[FINE_LEVEL], self.sem_seg_head.coarse_sem_seg_head(features)

    def logits(self, images: Tensor, refinement: int) -> Logits:
        """Logits of one image's classes.

        Args:
            images: (1, 3, ...) float32, normalised, zero-padded at the bottom and right to multiples of 32.
            refinement: 0 stops at the coarse map, a quarter of the input's height and width; each more doubles it, as
                far as the model's subdivision steps go (two, usually: the input's size).

        Raises:
            ValueError: more or fewer images than one, or a negative refinement.
        """
        if images.shape[0] != 1:
            raise ValueError(f"logits() takes one image at a time, not {images.shape[0]}.")
        if refinement < 0:
            raise ValueError(f"refinement must be at least 0, not {refinement}.")
        return self.sem_seg_head.refined(*self.trunk(images), refinement)

    def classify(
        self, images: Tensor, image_size: tuple[int, int], original_size: tuple[int, int], refinement: int
    ) -> Tensor:
        """The class of each pixel of the original image.

        Args:
            images: as :meth:`logits` takes them.
            image_size: height and width before padding.
            original_size: (H, W) of the original image.
            refinement: as :meth:`logits` takes it.

        Returns:
            (H, W) int16.
        """
        logits = self.logits(images, refinement)
        scale = logits.height / images.shape[2]
        return resized_classes(logits, (_scaled(image_size[0], scale), _scaled(image_size[1], scale)), original_size)


def resized_classes(logits: Logits, used: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Resize a map bilinearly, as ``interpolate`` does, and take each pixel's best class, a band of rows at a time.

    Args:
        logits: (K, h, w).
        used: height and width of the part that is no padding, from the top left.
        size: (H, W).

    Returns:
        (H, W) int16.
    """
    height, width = size
    classes = torch.empty(size, dtype=torch.int16)
    places = ((torch.arange(height) + 0.5) * (used[0] / height) - 0.5).clamp(min=0)
    above = places.long()
    below = (above + 1).clamp(max=used[0] - 1)
    # Bounded are a band's rows of the map, and of the image.
    source_rows = max(2, _rows_of_a_band(logits.num_classes * logits.width))
    rows = _rows_of_a_band(logits.num_classes * max(width, used[1]))
    start = 0
    while start < height:
        first = int(above[start])
        reached = int(torch.searchsorted(below, first + source_rows))
        stop = min(start + rows, reached)
        source = logits.rows(first, int(below[stop - 1]) + 1)[:, :, : used[1]]
        weights = (places[start:stop] - above[start:stop])[:, None].to(source)
        mixed = source[:, above[start:stop] - first].lerp(source[:, below[start:stop] - first], weights)
        band = F.interpolate(mixed[None], size=(stop - start, width), mode="bilinear", align_corners=False)[0]
        classes[start:stop] = band.max(dim=0).indices  # several times faster on a CPU than argmax
        start = stop
    return classes


def _rows_of_a_band(floats: int) -> int:
    """Rows of so many floats each that make up a band."""
    return max(1, BAND_FLOATS // floats)


def _lead(logits: Tensor) -> Tensor:
    """(h, w): by how much the best of (K, h, w) leads the second best."""
    # Class by class, in place: three times faster on a CPU than sorting each pixel's logits, and smaller.
    best, second = torch.maximum(logits[0], logits[1]), torch.minimum(logits[0], logits[1])
    middle = torch.empty_like(best)
    for each in logits[2:]:
        torch.minimum(best, each, out=middle)
        torch.maximum(second, middle, out=second)
        torch.maximum(best, each, out=best)
    return best - second


def _scaled(side: int, scale: float) -> int:
    """A side of the image in cells; a coarser map than the input may end within a cell, which is rounded."""
    return max(1, round(side * scale))
