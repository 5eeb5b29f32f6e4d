"""Fit how the mask scores of a model become the IoU that its masks reach: Platt scaling of what the masks expect.

    python scripts/calibrate_masks.py --model MODEL --data DATA --split coco80_train --fold 1/10

prints ``MODEL.ROI_MASK_HEAD.SCORE_CALIBRATION`` for the model's ``config.yaml``, fitted to masks whose boxes match
an object by an IoU of 0.5, and how the mask scores, as the model is configured now and as fitted to two thirds of the
images and judged on the third, compare with the true IoU. Name the fold that the model has not learnt from: on images
that it knows, masks are better than elsewhere. ``--check`` fits nothing.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from rich.progress import track

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pointrend.datasets.coco import DatasetImage
from pointrend.datasets.folds import Fold, fold_of
from pointrend.datasets.ground_truth import GroundTruth, TrueObject
from pointrend.datasets.image_file import read_pixels
from pointrend.inference.instances import InstanceSegmenter
from pointrend.inference.loading import load
from pointrend.structures.categories import ALL_CATEGORIES
from pointrend.structures.options import Options
from pointrend.structures.prediction import Instance
from pointrend.weights.folder import ModelFolder
from scripts.calibrate_scores import fit, logit

LEAST_SCORE = 0.05  # of a detection
MATCH = 0.5  # IoU of boxes
STEP = 0.1  # of the table
PARTS = 3  # for judging the fit


@dataclass(frozen=True, slots=True)
class Matches:
    """Masks whose boxes match an object, M of them.

    Attributes:
        estimates: (M) mask scores.
        ious: (M) with the objects' masks.
        parts: (M) from 0 to :data:`PARTS` - 1, the same of all masks of an image.
    """

    estimates: NDArray[np.float64]
    ious: NDArray[np.float64]
    parts: NDArray[np.int64]


def main(
    data: Annotated[Path, typer.Option(help="Folder with instances_SPLIT.json (COCO) and images/.")],
    model: Annotated[str, typer.Option(help="A model's name or folder.")] = "demo",
    split: Annotated[str, typer.Option(help="Which annotations.")] = "train",
    fold: Annotated[str | None, typer.Option(help="Use only this part of the images, such as 1/10.")] = None,
    check: Annotated[bool, typer.Option(help="Fit nothing.")] = False,
) -> None:
    """Run the model, match its masks, fit, and compare."""
    folder = ModelFolder.open(model)
    matches = match(folder, data, split, None if fold is None else Fold.parse(fold))
    print(f"{len(matches.ious)} masks, mean IoU {matches.ious.mean():.3f}")
    report("as configured", matches.estimates, matches.ious)
    if check:
        return
    held_out = np.empty_like(matches.estimates)
    for part in range(PARTS):
        rest = matches.parts != part
        line = fit(matches.estimates[rest], matches.ious[rest])
        held_out[~rest] = applied(matches.estimates[~rest], *line)
    report(f"fitted to the other {PARTS - 1} of {PARTS} parts", held_out, matches.ious)
    slope, offset = fit(matches.estimates, matches.ious)
    # What was fitted comes on top of what the scores have been through.
    before = folder.config.mask_calibration
    print(f"SCORE_CALIBRATION: [{slope * before[0]:.3f}, {slope * before[1] + offset:.3f}]")


def match(folder: ModelFolder, data: Path, split: str, fold: Fold | None) -> Matches:
    """Masks with an object that they are to show: of their category, and with the box that overlaps theirs most."""
    truth = GroundTruth.read(data, split, folder.info.categories)
    images = [image for image in truth.images if fold is None or fold.holds(image.path.name)]
    segmenter = load(folder.path)
    assert isinstance(segmenter, InstanceSegmenter)
    options = Options(score_threshold=LEAST_SCORE, categories=(ALL_CATEGORIES,))
    objects: dict[int, list[TrueObject]] = {image.id: [] for image in truth.images}
    for item in truth.objects:
        if not item.crowd:
            objects[item.image_id].append(item)
    found: list[tuple[float, float, int]] = []
    for image in track(images, transient=True):
        instances = segmenter(read_pixels(image.path), options).instances
        found += _matched(image, instances, objects[image.id])
    columns = np.array(found, dtype=np.float64).reshape(-1, 3).T
    return Matches(columns[0], columns[1], columns[2].astype(np.int64))


def _matched(
    image: DatasetImage, instances: tuple[Instance, ...], objects: list[TrueObject]
) -> list[tuple[float, float, int]]:
    part = fold_of(image.path.name, PARTS)
    rows = []
    for instance in instances:
        same = [item for item in objects if item.category_id == instance.category_id]
        if not same:
            continue
        overlaps = coco_mask.iou([list(instance.bbox)], [list(item.bbox) for item in same], [0] * len(same))[0]
        best = int(overlaps.argmax())
        if overlaps[best] >= MATCH and instance.mask_score is not None:
            iou = float(coco_mask.iou([instance.segmentation], [same[best].segmentation], [0])[0, 0])
            rows.append((instance.mask_score, iou, part))
    return rows


def applied(estimates: NDArray[np.float64], slope: float, offset: float) -> NDArray[np.float64]:
    """Estimates once slope and offset are applied to their logits."""
    result: NDArray[np.float64] = 1 / (1 + np.exp(-(slope * logit(estimates) + offset)))
    return result


def report(title: str, estimates: NDArray[np.float64], ious: NDArray[np.float64]) -> None:
    """How estimates compare with the true IoU."""
    one, other = (values.argsort(kind="stable").argsort() for values in (estimates, ious))
    spearman, pearson = np.corrcoef(one, other)[0, 1], np.corrcoef(estimates, ious)[0, 1]
    error = np.abs(estimates - ious).mean()
    print(f"{title}: Spearman {spearman:.2f}, Pearson {pearson:.2f}, mean absolute error {error:.3f}")
    print("mask score  masks  mean score  mean IoU")
    for low in np.arange(0, 1, STEP):
        inside = (estimates >= low) & ((estimates < low + STEP) | (low + STEP >= 1))
        if inside.any():
            means = f"{estimates[inside].mean():10.2f}  {ious[inside].mean():8.2f}"
            print(f"{low:.1f} to {low + STEP:.1f}  {inside.sum():5d}  {means}")


if __name__ == "__main__":
    typer.run(main)
