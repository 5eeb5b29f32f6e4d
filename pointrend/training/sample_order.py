"""The order in which images come: rare categories more often than by chance, and the same again after a stop.

Shapes: N images, K categories.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pointrend.datasets.annotations import LabelledImage


def repeat_factors(images: Sequence[LabelledImage], threshold: float) -> NDArray[np.float64]:
    """How many times as often each image should come as one with frequent categories only.

    The factor of a category that a fraction f of the images show is max(1, sqrt(threshold / f)), that of an image the
    greatest of its categories' (LVIS, arXiv:1908.03195, appendix B.2).

    Args:
        images: N of them.
        threshold: the fraction of images below which a category counts as rare; 0 makes all factors 1.

    Returns:
        (N,), each at least 1.
    """
    seen = [{item.category for item in image.objects if not item.crowd} for image in images]
    counts: dict[int, int] = {}
    for categories in seen:
        for category in categories:
            counts[category] = counts.get(category, 0) + 1
    factors = {category: max(1.0, (threshold * len(images) / count) ** 0.5) for category, count in counts.items()}
    return np.array([max((factors[category] for category in categories), default=1.0) for categories in seen])


def source_factors(images: Sequence[LabelledImage], sources: Mapping[str, float]) -> NDArray[np.float64]:
    """How many times as often each image should come for the collection that it is from.

    Args:
        images: N of them.
        sources: a positive factor for each source that should come more or less often; 1 for others.

    Returns:
        (N,), positive.
    """
    return np.array([sources.get(image.source, 1.0) for image in images], dtype=np.float64)


class SampleOrder:
    """An endless sequence of images, of which any member can be told without those before it.

    It goes by rounds of N draws. Within a round image i comes N * weight[i] / sum(weights) times, rounded up or down
    by chance (systematic sampling), in random order: with equal weights each image comes exactly once.

    Args:
        weights: (N,), positive.
        seed: of all that is random.
    """

    def __init__(self, weights: NDArray[np.float64], seed: int) -> None:
        self._ends = np.cumsum(weights) / np.sum(weights)
        self._seed = seed
        self._round = -1
        self._indices = np.zeros(0, dtype=np.int64)

    def __getitem__(self, position: int) -> int:
        """Index of the image at a position from 0 on."""
        number, place = divmod(position, len(self._ends))
        if number != self._round:
            self._indices, self._round = self._drawn(number), number
        return int(self._indices[place])

    def _drawn(self, number: int) -> NDArray[np.int64]:
        rng = np.random.default_rng((self._seed, number))
        count = len(self._ends)
        marks = (np.arange(count) + rng.random()) / count
        # The last end may be rounded to a little less than 1.
        chosen = np.minimum(np.searchsorted(self._ends, marks, side="right"), count - 1)
        return rng.permutation(chosen)
