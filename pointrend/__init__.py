"""PointRend instance segmentation: an image in, a :class:`Prediction` out.

Importing this package imports nothing else: each name comes with its modules when it is first used, and PyTorch when
:func:`load` is called. The processes beside a served model, which need none of them, stay small that way.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from pointrend.system.threads import limit_spinning
from pointrend.version import __version__

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from pointrend.errors import PointRendError
    from pointrend.inference.base import Segmenter
    from pointrend.structures.options import Options
    from pointrend.structures.prediction import Instance, Prediction
    from pointrend.visualize.display import show

__all__ = ["Instance", "Options", "PointRendError", "Prediction", "__version__", "load", "show"]

_MODULES = {
    "Instance": "pointrend.structures.prediction",
    "Options": "pointrend.structures.options",
    "PointRendError": "pointrend.errors",
    "Prediction": "pointrend.structures.prediction",
    "show": "pointrend.visualize.display",
}

limit_spinning()  # here, before anything of this package imports PyTorch


def __getattr__(name: str) -> object:
    """Import a public name; Python calls this once for each."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})


def load(model: str | Path = "demo", *, threads: int | None = None, engine: str = "eager") -> Segmenter[Any]:
    """Load a model by name or from its folder; see :func:`pointrend.inference.loading.load`."""
    from pointrend.inference.loading import load as load_segmenter  # with it comes PyTorch

    return load_segmenter(model, threads=threads, engine=engine)
