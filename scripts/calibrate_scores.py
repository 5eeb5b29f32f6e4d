"""Fit how a one-stage model's scores become probabilities of being right: Platt scaling (1999) of its boxes.

    python scripts/calibrate_scores.py --model MODEL --data DATA --split coco80_train --source coco-full

prints ``SCORE_CALIBRATION`` for the model's ``config.yaml``, fitted to detections that match an object by an IoU of
0.5, and how scores of this model, as it is configured now, compare with how often they are right. ``--check`` prints
the comparison alone, for images that nothing may be fitted to.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from rich.progress import track

from pointrend.config.schema import OneStageConfig
from pointrend.datasets.ground_truth import GroundTruth
from pointrend.errors import ConfigError
from pointrend.evaluation.evaluator import Evaluator
from pointrend.images.decode import decode
from pointrend.inference.instances import InstanceSegmenter
from pointrend.inference.loading import load
from pointrend.structures.categories import ALL_CATEGORIES
from pointrend.structures.options import Options
from pointrend.weights.folder import ModelFolder

STEP = 0.1  # of the table


def main(
    data: Annotated[Path, typer.Option(help="Folder with instances_SPLIT.json (COCO) and images/.")],
    model: Annotated[str, typer.Option(help="A model's name or folder.")] = "demo",
    split: Annotated[str, typer.Option(help="Which annotations.")] = "train",
    source: Annotated[list[str] | None, typer.Option(help="Use only images of this source. Repeatable.")] = None,
    check: Annotated[bool, typer.Option(help="Fit nothing.")] = False,
) -> None:
    """Run the model, match what it finds, fit, and compare."""
    folder = ModelFolder.open(model)
    config = folder.config
    if not isinstance(config, OneStageConfig):
        raise ConfigError(f"{folder.info.name} is no one-stage model: its scores have no calibration.")
    scores, right = matched(folder, data, split, source)
    print(f"{len(scores)} detections, {right.sum()} right")
    print_table(scores, right)
    if check:
        return
    slope, offset = fit(scores, right)
    # What was fitted comes on top of what the scores have been through.
    before = config.head.calibration
    print(f"SCORE_CALIBRATION: [{slope * before[0]:.3f}, {slope * before[1] + offset:.3f}]")


def matched(
    folder: ModelFolder, data: Path, split: str, source: list[str] | None
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scores (D) of all detections that are either right or wrong, and which are right: by an IoU of 0.5."""
    truth = GroundTruth.read(data, split, folder.info.categories)
    images = tuple(image for image in truth.images if not source or image.source in source)
    ids = {image.id for image in images}
    truth = replace(truth, images=images, objects=tuple(item for item in truth.objects if item.image_id in ids))
    segmenter = load(folder.path)
    assert isinstance(segmenter, InstanceSegmenter)
    options = Options(task="detection", score_threshold=0.0, categories=(ALL_CATEGORIES,))
    found = {image.id: segmenter(decode(image.path.read_bytes()), options) for image in track(images, transient=True)}
    matches = Evaluator(truth).boxes(found).by_area["all"]
    # A detection of a category that its image does not label is neither right nor wrong, and is not among these.
    scores = [each.scores[each.counted[0]] for each in matches]
    right = [each.right[0][each.counted[0]] for each in matches]
    return np.concatenate(scores), np.concatenate(right)


def logit(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logits of scores, finite where they are 0 or 1."""
    result: NDArray[np.float64] = torch.logit(torch.from_numpy(scores), eps=1e-6).numpy()
    return result


def fit(scores: NDArray[np.float64], right: NDArray[np.bool_] | NDArray[np.float64]) -> tuple[float, float]:
    """Slope and offset of the logits that make ``right``, which may be shares too, likeliest."""
    logits = torch.from_numpy(logit(scores))
    wanted = torch.from_numpy(right).double()
    line = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([line], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        value = torch.nn.functional.binary_cross_entropy_with_logits(line[0] * logits + line[1], wanted)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    slope, offset = line.tolist()
    return slope, offset


def print_table(scores: NDArray[np.float64], right: NDArray[np.bool_]) -> None:
    """How often detections are right, by their score."""
    print("score       detections  mean score  right")
    for low in np.arange(0, 1, STEP):
        inside = (scores >= low) & (scores < low + STEP)
        if inside.any():
            means = f"{scores[inside].mean():10.2f}  {right[inside].mean():5.2f}"
            print(f"{low:.1f} to {low + STEP:.1f}  {inside.sum():10d}  {means}")


if __name__ == "__main__":
    typer.run(main)
