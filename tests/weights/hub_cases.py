"""The small model that the tests of the Hugging Face Hub publish, and under which name."""

from __future__ import annotations

import os
from pathlib import Path

from pointrend.structures.model_info import Category, ModelInfo
from pointrend.weights.folder import ModelFolder
from pointrend.weights.hub import store
from pointrend.weights.pull import is_missing

GOLDEN = Path(__file__).parents[1] / "golden" / "pointrend_3class_portrait"
INFO = ModelInfo(
    "shapes", "1.0", (Category(1, "square"), Category(2, "disc"), Category(7, "star")), (), "For tests.", "MIT"
)
OWN = "ada/shapes"
ADDRESS = f"hf://{OWN}"


def content(model: ModelFolder) -> dict[str, bytes]:
    """The files of a model folder."""
    return {path.name: path.read_bytes() for path in model.path.iterdir()}


def home() -> Path:
    return Path(os.environ["POINTREND_HOME"])


def nothing_is_kept() -> bool:
    return store.kept_models() == [] and is_missing(ADDRESS)
