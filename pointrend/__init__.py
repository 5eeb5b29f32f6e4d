"""PointRend instance segmentation: a photo in, a :class:`Prediction` out.

Importing this package does not import torch; :func:`load` does, when a model is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pointrend.errors import PointRendError
from pointrend.options import Options
from pointrend.prediction import Instance, Prediction

if TYPE_CHECKING:
    from pathlib import Path

    from pointrend.segmenter import AnySegmenter

__version__ = "0.1.0"
__all__ = ["Instance", "Options", "PointRendError", "Prediction", "load"]


def load(model: str | Path = "demo", *, threads: int | None = None, engine: str = "eager") -> AnySegmenter:
    """Load a model by name or from its folder; see :func:`pointrend.segmenter.load`."""
    from pointrend.segmenter import load as load_segmenter

    return load_segmenter(model, threads=threads, engine=engine)
