"""The trained models that tests run."""

from __future__ import annotations

from pathlib import Path

SMALL_RCNN = (
    Path(__file__).parent / "demo" / "rcnn_model"
)  # 17 categories, of which boat and the like are hidden by default
REFERENCE = Path(__file__).parent / "demo" / "reference_model"  # 8 categories, also trained with detectron2
