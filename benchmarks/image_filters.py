"""Outlines of masks, and Gaussian filters of pictures, as errors of alphas are measured with.

Shapes: (h, w) masks and alphas, with (h, w, C) where there are channels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

GRADIENT_SIGMA = 1.4  # pixels, as in Rhemann et al., CVPR 2009

Floats = NDArray[np.floating[Any]]


def around(mask: NDArray[np.bool_], margin: int) -> tuple[slice, slice]:
    """Rows and columns of a mask, and a margin where the image has it."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    first, last = max(0, rows[0] - margin), rows[-1] + 1 + margin
    return slice(first, last), slice(max(0, columns[0] - margin), columns[-1] + 1 + margin)


def band(mask: NDArray[np.bool_], pixels: int) -> NDArray[np.bool_]:
    """Pixels this near to a mask's outline, on either side."""
    picture = Image.fromarray(mask).convert("L")
    wide, narrow = (
        np.asarray(picture.filter(kind(2 * pixels + 1))) > 0 for kind in (ImageFilter.MaxFilter, ImageFilter.MinFilter)
    )
    return wide & ~narrow


def scaled(values: Floats, size: tuple[int, int]) -> Floats:
    """In another size, width and height, by bicubic interpolation."""
    return np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BICUBIC))


def _kernel(sigma: float) -> tuple[Floats, Floats]:
    """A Gaussian's samples and where they are, in pixels."""
    reach = max(1, round(3 * sigma))
    places = np.arange(-reach, reach + 1, dtype=np.float32)
    weights = np.exp(-(places**2) / (2 * sigma**2))
    return weights / weights.sum(), places


def _correlated(values: Floats, kernel: Floats, axis: int) -> Floats:
    reach, length = len(kernel) // 2, values.shape[axis]
    edges = [(0, 0)] * values.ndim
    edges[axis] = reach, reach
    padded = np.moveaxis(np.pad(values, edges, mode="edge"), axis, 0)
    total = sum(weight * padded[start : start + length] for start, weight in enumerate(kernel))
    return np.moveaxis(np.asarray(total, np.float32), 0, axis)


def blurred(values: Floats, sigma: float) -> Floats:
    """By a Gaussian of so many pixels; 0 leaves them as they are."""
    if not sigma:
        return values
    kernel, _ = _kernel(sigma)
    return _correlated(_correlated(values, kernel, 0), kernel, 1)


def gradient_magnitude(alpha: Floats) -> Floats:
    """The magnitude of its gradient, by derivatives of a Gaussian of :data:`GRADIENT_SIGMA`."""
    kernel, places = _kernel(GRADIENT_SIGMA)
    derivative = kernel * places / (kernel * places**2).sum()
    down, across = (_correlated(_correlated(alpha, derivative, axis), kernel, 1 - axis) for axis in (0, 1))
    return np.hypot(down, across)
