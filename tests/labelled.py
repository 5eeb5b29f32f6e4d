"""Labelled photos for tests of judging: what a model finds in the test photos is the truth."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pointrend
from pointrend.images.decode import decode
from pointrend.structures.options import Options

DEMO = Path(__file__).parent / "demo"
EVERYTHING = Options(score_threshold=0.0, categories=("all",), exact=True)


def label(folder: Path, names: Sequence[str], model: str | Path = "demo") -> None:
    """Write ``images`` and ``instances_val.json`` of some of the test photos into a folder."""
    (folder / "images").mkdir()
    segmenter = pointrend.load(model)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, name in enumerate(names):
        path = shutil.copy(DEMO / f"{name}.png", folder / "images")
        found = segmenter(decode(Path(path).read_bytes()), EVERYTHING)
        images.append({"id": number, "file_name": f"{name}.png", "width": found.width, "height": found.height})
        images[-1]["source"] = "faces" if name != "coffee" else "things"
        for instance in filter(lambda each: each.area, found.instances):  # what has no pixel can be no label
            part = {"category_id": instance.category_id, "bbox": instance.bbox, "segmentation": instance.segmentation}
            annotations.append({"id": len(annotations), "image_id": number, "area": instance.area, **part})
    categories = [{"id": category.id, "name": category.name} for category in segmenter.info.categories]
    tree = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "instances_val.json").write_text(json.dumps(tree))
