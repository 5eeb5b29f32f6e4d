"""What a faster engine loses against eager: mask AP and boundary AP, and which of its detections it finds again.

    python benchmarks/losses.py --data DATA [--model demo] [--engine openvino-int8 ...] [--resamples 400] [--limit N]

Both run over the same labelled photos, at the test size, with refined masks; differences have intervals from paired
bootstrap resamples of the photos. With ``ONEDNN_MAX_CPU_ISA=AVX2`` (or ``AVX512_CORE``) in the environment, OpenVINO
and PyTorch compute as on a processor that has no more than that: without instructions for int8, for one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from pycocotools import mask as coco_mask
from rich.console import Console
from rich.progress import track

from pointrend.engines import EAGER, OPENVINO_INT8
from pointrend.evaluation.bootstrap import Interval, Resampled, difference, resamples
from pointrend.evaluation.detections import REFINED, run
from pointrend.evaluation.figures import percent
from pointrend.evaluation.ground_truth import GroundTruth
from pointrend.evaluation.matching import Judge
from pointrend.evaluation.tables import Table
from pointrend.machine import processor
from pointrend.prediction import Prediction
from pointrend.weights.folder import ModelFolder

ISA = "ONEDNN_MAX_CPU_ISA"  # read by OpenVINO's and PyTorch's copies of oneDNN
SURE, STILL_FOUND, SAME_MASK = 0.5, 0.4, 0.8  # eager's score, the other's score, mask IoU


@dataclass(frozen=True, slots=True)
class Judged:
    """What an engine found, and how good that is: by mask AP and boundary AP, in every resample."""

    predictions: Mapping[int, Prediction]
    mask: Resampled
    boundary: Resampled


@dataclass(frozen=True, slots=True)
class Losses:
    """Of an engine against eager.

    Attributes:
        mask_ap, boundary_ap: eager's figure less the engine's, in points of AP.
        sure: how many detections eager has above :data:`SURE`.
        again: how many of them the engine has too, above :data:`STILL_FOUND`, in the same category and with a mask
            that overlaps by :data:`SAME_MASK`.
    """

    mask_ap: Interval
    boundary_ap: Interval
    sure: int
    again: int


def found_again(expected: Mapping[int, Prediction], answered: Mapping[int, Prediction]) -> tuple[int, int]:
    """How many detections are sure in ``expected``, and how many of those are in ``answered`` too, by photo id."""
    sure = again = 0
    for photo, prediction in expected.items():
        for instance in prediction.instances:
            if instance.score <= SURE:
                continue
            sure += 1
            others = [
                other.segmentation
                for other in answered[photo].instances
                if other.category_id == instance.category_id and other.score > STILL_FOUND
            ]
            overlaps = coco_mask.iou([instance.segmentation], others, [0] * len(others)) if others else None
            again += overlaps is not None and bool(overlaps.max() >= SAME_MASK)
    return sure, again


def judge(folder: ModelFolder, truth: GroundTruth, engine: str, draws: int, console: Console) -> Judged:
    """Run an engine over all photos.

    Args:
        folder: of the model.
        truth: photos and what is on them.
        engine: its name.
        draws: bootstrap resamples; the same ones for every engine.
        console: shows the progress.
    """
    photos = track(truth.photos, engine, console=console, transient=True)
    predictions = run([folder], photos, [REFINED], engine).by_head[REFINED]
    found, weights = Judge(truth).masks(predictions), resamples(len(truth.photos), draws)
    return Judged(predictions, Resampled.of(found.mask, weights), Resampled.of(found.boundary, weights))


def losses(eager: Judged, other: Judged) -> Losses:
    """Compare on the same photos and resamples."""
    mask, boundary = difference(eager.mask, other.mask), difference(eager.boundary, other.boundary)
    return Losses(mask, boundary, *found_again(eager.predictions, other.predictions))


def table(judged: Mapping[str, Judged], title: str) -> Table:
    """A row an engine, eager first."""
    rows = []
    for engine, each in judged.items():
        lost = losses(judged[EAGER], each)
        compared = engine != EAGER
        rows.append(
            (
                engine,
                _figure(each.mask),
                _interval(lost.mask_ap) if compared else "",
                _figure(each.boundary),
                _interval(lost.boundary_ap) if compared else "",
                f"{lost.again} of {lost.sure}, {lost.again / max(lost.sure, 1):.1%}" if compared else "",
            )
        )
    return Table(title, ("engine", "mask AP", "lost", "boundary AP", "lost", "found again"), tuple(rows))


def _figure(resampled: Resampled) -> str:
    value = percent(float(resampled.mean_ap()[0]))
    return "-" if value is None else f"{value:.1f}"


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
    engines = [EAGER, *(engine or [OPENVINO_INT8])]
    judged = {name: judge(folder, truth, name, draws, console) for name in engines}
    isa = os.environ.get(ISA)
    machine = f"{processor()}, {f'as if of {isa}, ' if isa else ''}{torch.get_num_threads()} threads"
    console.print(
        table(judged, f"{folder.info.name} {folder.info.version}, {len(truth.photos)} photos; {machine}").to_markdown()
    )


if __name__ == "__main__":
    typer.run(main)
