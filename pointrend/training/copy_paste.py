"""Simple Copy-Paste (Ghiasi et al., arXiv:2012.07177): objects of one crop laid over another.

Shapes: S side of the crops in pixels, G objects, K categories.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from pointrend.training.augment import THINNEST, tight_boxes
from pointrend.training.sample import Sample

VISIBLE = 0.3  # the least fraction of an object that must be left beside what was laid over it
SOFTNESS = 0.7  # pixels: standard deviation of the edge between what was laid and what lies below


def paste(onto: Sample, source: Sample, rng: np.random.Generator) -> Sample:
    """Lay a random choice of the source's objects over another crop.

    Objects below lose what is hidden. One that is hidden altogether is gone; one of which little can be seen is
    neutral. What the receiving image's source labels stays as it was: a pasted object is labelled as itself even if
    others of its category are not.

    Args:
        onto: receives the objects.
        source: a crop of the same size.
        rng: says which objects: each with probability one half, but at least one.

    Returns:
        a new crop; the receiving one itself where the source has no objects.
    """
    count = len(source.classes)
    if count == 0:
        return onto
    chosen = rng.random(count) < 0.5
    chosen[rng.integers(count)] = True
    taken = torch.from_numpy(chosen)
    laid = source.masks[taken]
    cover = laid.any(dim=0)
    masks = onto.masks & ~cover
    before, after = _areas(onto.masks), _areas(masks)
    boxes = onto.boxes.clone()
    present = after > 0
    boxes[present] = tight_boxes(masks[present])
    sides = boxes[:, 2:] - boxes[:, :2]
    kept = present & (after >= VISIBLE * before) & (sides.amin(dim=1) >= THINNEST)
    return Sample(
        image=_blended(onto.image, source.image, cover),
        boxes=torch.cat([boxes[kept], source.boxes[taken]]),
        classes=torch.cat([onto.classes[kept], source.classes[taken]]),
        masks=torch.cat([masks[kept], laid]),
        neutral=torch.cat([onto.neutral, boxes[present & ~kept]]),
        labelled=onto.labelled,
    )


def _areas(masks: Tensor) -> Tensor:
    return masks.flatten(1).sum(dim=1)


def _blended(below: Tensor, above: Tensor, cover: Tensor) -> Tensor:
    """(S, S, 3): the upper picture where it covers, with a soft edge, so that a cut does not give objects away."""
    alpha = Image.fromarray(cover.numpy().astype(np.uint8) * 255).filter(ImageFilter.GaussianBlur(SOFTNESS))
    mixed = Image.composite(Image.fromarray(above.numpy()), Image.fromarray(below.numpy()), alpha)
    return torch.from_numpy(np.array(mixed))
