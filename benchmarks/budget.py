"""What `budget_ms` costs and gives: AP and milliseconds, beside fixed steps of refinement.

    python benchmarks/budget.py --data DATA [--split val] [--fold 1/10] [--objects 5] [--budget 60 ...] [--model demo]

Labelled photos with many objects are segmented with each `refinement` and within each budget, which take turns on each
photo. Every detection down to a low score gets a mask, as for AP. Milliseconds are of inference, from decoded pixels to
the masks' logits, which is what a budget bounds; with quartiles over the photos. "Late" is what exceeds the budget: the
95th percentile and the most. ``--runs`` keeps what was measured, so that it can be judged apart, and again.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import track

from pointrend.datasets.folds import Fold
from pointrend.datasets.ground_truth import GroundTruth
from pointrend.datasets.image_file import read_pixels
from pointrend.evaluation.evaluator import Evaluator
from pointrend.evaluation.figures import figures
from pointrend.evaluation.tables import Table
from pointrend.inference.loading import load
from pointrend.structures.options import FULL_REFINEMENT, Options
from pointrend.structures.prediction import Prediction
from pointrend.system.machine import processor

HEADER = ("", "inference, ms", "late, ms", "mean grid", "mask AP", "boundary AP")


@dataclass(slots=True)
class Way:
    """One way to ask, and what came of it.

    Attributes:
        options: what is asked for.
        predictions: by image id.
        milliseconds: of inference, of every photo in every round.
    """

    options: Options
    predictions: dict[int, Prediction] = field(default_factory=dict)
    milliseconds: list[float] = field(default_factory=list)

    def row(self, name: str, truth: GroundTruth, judging: Evaluator) -> tuple[str, ...]:
        """A line of the table."""
        lower, median, upper = np.percentile(self.milliseconds, [25, 50, 75])
        matches = judging.masks(self.predictions)
        weights = np.ones(len(truth.images), dtype=np.int64)
        aps = [figures(each, truth, weights).overall.ap for each in (matches.mask, matches.boundary)]
        grids = [each.grid for found in self.predictions.values() for each in found.instances if each.grid is not None]
        return (
            name,
            f"{median:.0f} ({lower:.0f} to {upper:.0f})",
            self._late(),
            f"{np.mean(grids):.0f}",
            *("-" if ap is None else f"{ap:.1f}" for ap in aps),
        )

    def _late(self) -> str:
        if self.options.budget_ms is None:
            return "-"
        late = np.maximum(np.array(self.milliseconds) - self.options.budget_ms, 0)
        return f"{np.percentile(late, 95):.0f}, {late.max():.0f}"


def crowded(truth: GroundTruth, fold: Fold | None, objects: int) -> GroundTruth:
    """The photos of a fold that have so many labelled objects."""
    count = Counter(each.image_id for each in truth.objects)
    images = tuple(
        each for each in truth.images if count[each.id] >= objects and (fold is None or fold.holds(each.path.name))
    )
    ids = {each.id for each in images}
    return replace(truth, images=images, objects=tuple(each for each in truth.objects if each.image_id in ids))


def keep(runs: Path, ways: Mapping[str, Way]) -> None:
    """Write what was measured."""
    tree = {
        name: {
            "milliseconds": way.milliseconds,
            "predictions": {number: found.to_dict() for number, found in way.predictions.items()},
        }
        for name, way in ways.items()
    }
    runs.write_text(json.dumps(tree), encoding="utf-8")


def restore(runs: Path, ways: Mapping[str, Way]) -> None:
    """Read what :func:`keep` wrote, of the same ways."""
    tree = json.loads(runs.read_text(encoding="utf-8"))
    for name, way in ways.items():
        way.milliseconds = tree[name]["milliseconds"]
        way.predictions = {
            int(number): Prediction.from_dict(each) for number, each in tree[name]["predictions"].items()
        }


def main(
    data: Annotated[Path, typer.Option(help="Labelled photos: instances_SPLIT.json, and images.")],
    split: Annotated[str, typer.Option(help="Which part of the data.")] = "val",
    fold: Annotated[str | None, typer.Option(help="Photos of this part of the split only, such as 1/10.")] = None,
    objects: Annotated[int, typer.Option(min=1, help="Photos with at least so many labelled objects.")] = 5,
    budget: Annotated[list[int] | None, typer.Option(help="Milliseconds. [default: 60 80 100 150 200]")] = None,
    model: Annotated[str, typer.Option(help="A model's name or folder.")] = "demo",
    engine: Annotated[str, typer.Option(help="What computes it.")] = "eager",
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads.")] = None,
    threshold: Annotated[float, typer.Option(help="Minimum score of a detection.")] = 0.05,
    exact: Annotated[bool, typer.Option(help="Refine small objects as much as large ones.")] = False,
    rounds: Annotated[int, typer.Option(min=1, help="Times that every photo is segmented in each way.")] = 1,
    runs: Annotated[
        Path | None, typer.Option(help="Keep what was measured in this file; judge it if it exists.")
    ] = None,
) -> None:
    """Measure and tell."""
    console = Console(width=None if Console().is_terminal else 160)
    segment = load(model, engine=engine, threads=threads)
    part = None if fold is None else Fold.parse(fold)
    truth = crowded(GroundTruth.read(data, split, segment.info.categories), part, objects)
    asked = Options(score_threshold=threshold, categories=("all",), exact=exact)
    fixed = {f"refinement={step}": replace(asked, refinement=step) for step in range(FULL_REFINEMENT + 1)}
    bounded = {f"budget_ms={each}": replace(asked, budget_ms=each) for each in budget or [60, 80, 100, 150, 200]}
    ways = {name: Way(options) for name, options in (fixed | bounded).items()}
    if runs is not None and runs.exists():
        restore(runs, ways)
    else:
        for turn in range(rounds):
            for image in track(truth.images, f"Round {turn + 1}", console=console, transient=True):
                pixels = read_pixels(image.path)
                segment(pixels, asked)  # makes what the first image of a size has to make
                for way in ways.values():
                    prediction = segment(pixels, way.options)
                    way.predictions[image.id] = prediction
                    way.milliseconds.append(prediction.timing_ms["inference"])
        if runs is not None:
            keep(runs, ways)
    masks = [len(each.instances) for each in next(iter(ways.values())).predictions.values()]
    judging = Evaluator(truth)
    title = (
        f"{segment.info.name} {segment.info.version} ({engine}), {len(truth.images)} photos with {len(truth.objects)} "
        f"objects, {np.mean(masks):.0f} masks each, scores from {threshold}; {processor()}"
    )
    console.print(
        Table(title, HEADER, tuple(way.row(name, truth, judging) for name, way in ways.items())).to_markdown()
    )


if __name__ == "__main__":
    typer.run(main)
