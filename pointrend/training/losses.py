"""The losses of a PointRend R-CNN, as sums and counts over one image or as means.

Boxes: Faster R-CNN (arXiv:1506.01497) with L1 for the offsets. Masks: binary cross-entropy of the true class's
channel (Mask R-CNN, arXiv:1703.06870). Points: arXiv:1912.08193, section 3.1.

Shapes: A boxes, R regions, K classes, P points a region, M side of a mask.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from pointrend.modeling.point_rend import sample_masks


def classification_loss(logits: Tensor, classes: Tensor, labelled: Tensor) -> Tensor:
    """Summed cross-entropy, in which what an image's source does not label stays neutral.

    A region that matches nothing is background only where every category is labelled. Elsewhere it is "background
    or something unlabelled": the loss is -log of both probabilities' sum, which says nothing about which it is.

    Args:
        logits: (A, K + 1), background last.
        classes: (A,) int64; K stands for background.
        labelled: (K,) bool.
    """
    log_probabilities = logits.float().log_softmax(dim=1)
    background = logits.shape[1] - 1
    possible = torch.cat([~labelled, labelled.new_ones(1)])
    neutral = log_probabilities[:, possible].logsumexp(dim=1)
    exact = log_probabilities.gather(1, classes[:, None])[:, 0]
    return -torch.where(classes == background, neutral, exact).sum()


def offset_loss(offsets: Tensor, targets: Tensor) -> Tensor:
    """Summed absolute difference of box offsets (A, 4)."""
    return (offsets.float() - targets).abs().sum()


def objectness_loss(logits: Tensor, is_object: Tensor) -> Tensor:
    """Summed binary cross-entropy of anchors: logits (A,), truth (A,) bool."""
    return F.binary_cross_entropy_with_logits(logits.float(), is_object.float(), reduction="sum")


def mask_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Summed over regions, averaged inside each: logits (R, ...) of the true class, targets alike in [0, 1]."""
    entropies = F.binary_cross_entropy_with_logits(logits.float(), targets, reduction="none")
    return entropies.flatten(1).mean(dim=1).sum()


def important_points(coarse: Tensor, count: int, *, oversampling: float = 3.0, importance: float = 0.75) -> Tensor:
    """Training points, biased towards uncertain places (section 3.1, "point selection for training").

    ``oversampling * count`` points are drawn evenly; the ``importance * count`` whose coarse mask is least decided
    are kept, and fresh even ones make up the rest.

    Args:
        coarse: (R, M, M) coarse logits of the true class.
        count: P.
        oversampling: k in the paper.
        importance: beta in the paper.

    Returns:
        (R, P, 2) in [0, 1] x [0, 1].
    """
    regions = len(coarse)
    drawn = torch.rand(regions, int(oversampling * count), 2, device=coarse.device)
    logits = sample_masks(coarse[:, None].float(), drawn)[:, :, 0]
    kept = logits.abs().topk(int(importance * count), dim=1, largest=False).indices
    uncertain = drawn.gather(1, kept[:, :, None].expand(-1, -1, 2))
    even = torch.rand(regions, count - kept.shape[1], 2, device=coarse.device)
    return torch.cat([uncertain, even], dim=1)
