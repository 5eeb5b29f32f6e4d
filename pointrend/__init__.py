"""PointRend instance segmentation: an image in, a :class:`Prediction` out.

Importing this package does not import torch; :func:`load` does, when a model is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pointrend.errors import PointRendError
from pointrend.structures.options import Options
from pointrend.structures.prediction import Instance, Prediction
from pointrend.system.threads import limit_spinning
from pointrend.version import __version__
from pointrend.visualize.display import show

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from pointrend.inference.base import Segmenter

__all__ = ["Instance", "Options", "PointRendError", "Prediction", "__version__", "load", "show"]

limit_spinning()  # here, before anything of this package imports PyTorch


def load(model: str | Path = "demo", *, threads: int | None = None, engine: str = "eager") -> Segmenter[Any]:
    """Load a model by name or from its folder; see :func:`pointrend.inference.loading.load`."""
    from pointrend.inference.loading import load as load_segmenter  # with it comes PyTorch

    return load_segmenter(model, threads=threads, engine=engine)
