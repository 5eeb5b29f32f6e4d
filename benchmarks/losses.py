"""What a faster engine loses against eager: mask AP and boundary AP, and which of its detections it finds again.

    python benchmarks/losses.py --data DATA [--model demo] [--engine openvino-int8 ...] [--resamples 400] [--limit N]

Both run over the same labelled photos, at the test size, with refined masks; differences have intervals from paired
bootstrap resamples of the photos. With ``ONEDNN_MAX_CPU_ISA=AVX2`` (or ``AVX512_CORE``) in the environment, OpenVINO
and PyTorch compute as on a processor that has no more than that: without instructions for int8, for one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from pycocotools import mask as coco_mask
from rich.console import Console
from rich.progress import track

from pointrend.datasets.ground_truth import GroundTruth
from pointrend.engines import EAGER, OPENVINO_INT8
from pointrend.evaluation.average_precision import Weights
from pointrend.evaluation.bootstrap import Interval, Resampled, difference, resamples
from pointrend.evaluation.evaluator import Evaluator
from pointrend.evaluation.figures import percent
from pointrend.evaluation.predictions import REFINED, run
from pointrend.evaluation.tables import Table, share
from pointrend.structures.prediction import Instance, Prediction
from pointrend.system.machine import processor
from pointrend.weights.folder import ModelFolder

HEADER = ("engine", "mask AP", "lost", "boundary AP", "lost", "found again")
ISA = "ONEDNN_MAX_CPU_ISA"  # read by OpenVINO's and PyTorch's copies of oneDNN
SURE, STILL_FOUND, SAME_MASK = 0.5, 0.4, 0.8  # eager's score, the other's score, mask IoU


@dataclass(frozen=True, slots=True)
class Judged:
    """What an engine found, and how good that is: by mask AP and boundary AP, in every resample."""

    predictions: Mapping[int, Prediction]
    mask: Resampled
    boundary: Resampled


def matched(expected: Sequence[Instance], answered: Sequence[Instance]) -> list[bool]:
    """Of each instance expected, whether one of its category overlaps its mask by :data:`SAME_MASK`."""
    again = []
    for each in expected:
        others = [other.segmentation for other in answered if other.category_id == each.category_id]
        overlaps = coco_mask.iou([each.segmentation], others, [0] * len(others)) if others else np.zeros(1)
        again.append(bool(overlaps.max() >= SAME_MASK))
    return again


def found_again(expected: Mapping[int, Prediction], answered: Mapping[int, Prediction]) -> tuple[int, int]:
    """How many detections are sure in ``expected``, and how many of those are in ``answered`` too, by photo id."""
    again = []
    for photo, prediction in expected.items():
        sure = [each for each in prediction.instances if each.score > SURE]
        again += matched(sure, [other for other in answered[photo].instances if other.score > STILL_FOUND])
    return len(again), sum(again)


def judge(folder: ModelFolder, engine: str, judging: Evaluator, weights: Weights, console: Console) -> Judged:
    """Run an engine over all photos.

    Args:
        folder: of the model.
        engine: its name.
        judging: knows the photos, and what is on them.
        weights: of the bootstrap's resamples; the same ones for every engine.
        console: shows the progress.
    """
    photos = track(judging.truth.images, engine, console=console, transient=True)
    predictions = run([folder], photos, [REFINED], engine).by_head[REFINED]
    found = judging.masks(predictions)
    return Judged(predictions, Resampled.of(found.mask, weights), Resampled.of(found.boundary, weights))


def row(engine: str, eager: Judged, other: Judged) -> tuple[str, ...]:
    """What an engine reaches, and what it loses against eager: its figure is taken from eager's."""
    sure, again = found_again(eager.predictions, other.predictions)
    return (
        engine,
        _figure(other.mask),
        _interval(difference(eager.mask, other.mask)),
        _figure(other.boundary),
        _interval(difference(eager.boundary, other.boundary)),
        f"{again} of {sure}, {again / max(sure, 1):.1%}",
    )


def _figure(resampled: Resampled) -> str:
    return share(percent(float(resampled.mean_ap()[0])))


def _interval(interval: Interval) -> str:
    if interval.value is None or interval.low is None or interval.high is None:
        return "-"
    return f"{interval.value:.2f} ({interval.low:.2f} to {interval.high:.2f})"


def main(
    data: Annotated[Path, typer.Option(help="Labelled photos: instances_SPLIT.json, and images.")],
    model: Annotated[str, typer.Option(help="A model's name or folder.")] = "demo",
    engine: Annotated[list[str] | None, typer.Option(help="To compare with eager. [default: openvino-int8]")] = None,
    split: Annotated[str, typer.Option(help="Which part of the data.")] = "val",
    limit: Annotated[int | None, typer.Option(help="So many photos only, taken evenly from all.")] = None,
    draws: Annotated[int, typer.Option("--resamples", min=1, help="Of the bootstrap.")] = 400,
) -> None:
    """Measure and tell."""
    console = Console(width=None if Console().is_terminal else 160)
    folder = ModelFolder.open(model)
    truth = GroundTruth.read(data, split, folder.info.categories).limited(limit)
    judging, weights = Evaluator(truth), resamples(len(truth.images), draws)
    eager = judge(folder, EAGER, judging, weights, console)
    rows: list[tuple[str, ...]] = [(EAGER, _figure(eager.mask), "", _figure(eager.boundary), "", "")]
    for name in engine or [OPENVINO_INT8]:
        rows.append(row(name, eager, judge(folder, name, judging, weights, console)))
    isa = os.environ.get(ISA)
    machine = f"{processor()}, {f'as if of {isa}, ' if isa else ''}{torch.get_num_threads()} threads"
    title = f"{folder.info.name} {folder.info.version}, {len(truth.images)} photos; {machine}"
    console.print(Table(title, HEADER, tuple(rows)).to_markdown())


if __name__ == "__main__":
    typer.run(main)
