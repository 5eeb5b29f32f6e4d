"""What a second look at large objects is worth, and what it costs: the same detections with zoom=true and without.

    python benchmarks/zoom.py --data DATA [--split val] [--fold 1/10] [--resolution 0.5] [--model demo]

With ``--resolution 0.5`` the network's input has half its sides, and masks are judged at the images' full size:
labelled images are small, and the images that a second look is for are larger than a network's input. Boundary AP is
that of large objects (more than 96 x 96 pixels), of detections from ``--threshold`` up. Boundary IoU is the mean over
large objects with a detection of their category whose box has an IoU of at least 0.5. Intervals (95 %) are from
resamples of the images; that of a difference is of both on the same ones. Times are of the whole prediction; the two
ways take turns on each image.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from rich.console import Console
from rich.progress import track

from pointrend.datasets.folds import Fold
from pointrend.datasets.ground_truth import GroundTruth, TrueObject
from pointrend.datasets.image_file import read_pixels
from pointrend.evaluation.average_precision import AREAS
from pointrend.evaluation.bootstrap import Interval, Resampled, difference, resamples
from pointrend.evaluation.boundary import boundary
from pointrend.evaluation.evaluator import Evaluator, MaskMatches
from pointrend.evaluation.tables import Table
from pointrend.inference.instances import InstanceSegmenter
from pointrend.inference.loading import load
from pointrend.structures.options import Options
from pointrend.structures.prediction import Instance, Prediction
from pointrend.system.machine import processor

PLAIN, CLOSE = "-", "zoom"
HEADER = ("zoom", "mask AP, large", "boundary AP, large", "mask IoU", "boundary IoU")
SAME_BOX = 0.5
RESAMPLES = 1000


@dataclass(slots=True)
class Timing:
    """Milliseconds of an image in both ways, and how many of its objects were looked at again."""

    plain: float
    close: float
    objects: int

    @property
    def each(self) -> float:
        """What a second look at one object costs."""
        return (self.close - self.plain) / self.objects


def shrink(segmenter: InstanceSegmenter, resolution: float) -> None:
    """Give the network a smaller input, and so fewer feature cells for the same image."""
    config = segmenter.model.config
    sides = {name: round(resolution * getattr(config, name)) for name in ("min_size", "max_size")}
    segmenter.model.config = replace(config, **sides)


def overlaps(found: Instance, each: TrueObject) -> tuple[float, float]:
    """IoU of two masks, and of their boundaries."""
    assert isinstance(found.segmentation, dict)  # as asked for
    pairs = (found.segmentation, each.segmentation), (boundary(found.segmentation), boundary(each.segmentation))
    mask, edge = (float(coco_mask.iou([one], [other], [0])[0, 0]) for one, other in pairs)
    return mask, edge


def same(found: Sequence[Instance], each: TrueObject) -> int | None:
    """The detection of an object, by category and box."""
    near = [index for index, other in enumerate(found) if other.category_id == each.category_id]
    if not near:
        return None
    ious = coco_mask.iou([list(each.bbox)], [list(found[index].bbox) for index in near], [0] * len(near))[0]
    return near[int(ious.argmax())] if ious.max() >= SAME_BOX else None


def matched(
    truth: GroundTruth, plain: Mapping[int, Prediction], close: Mapping[int, Prediction]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Of large objects that were found: the index of their image (N), and overlaps (N, 2, 2): way, mask or boundary."""
    order = {image.id: index for index, image in enumerate(truth.images)}
    images, values = [], []
    for each in truth.objects:
        index = None if each.crowd or each.area < AREAS["large"][0] else same(plain[each.image_id].instances, each)
        if index is not None:
            images.append(order[each.image_id])
            values.append([overlaps(way[each.image_id].instances[index], each) for way in (plain, close)])
    return np.array(images, np.intp), np.array(values).reshape(-1, 2, 2)


def interval(values: NDArray[np.float64]) -> str:
    """The first of (1 + B) figures in percent, and where the middle 95 % of the others lie."""
    low, high = np.nanpercentile(values[1:], [2.5, 97.5])
    return f"{100 * values[0]:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def table(title: str, truth: GroundTruth, plain: Mapping[int, Prediction], close: Mapping[int, Prediction]) -> Table:
    """Both ways and their difference."""
    weights = resamples(len(truth.images), RESAMPLES)
    evaluator = Evaluator(truth)
    judged: tuple[MaskMatches, MaskMatches] = evaluator.masks(plain), evaluator.masks(close)
    ap = [
        [
            Resampled(kind.categories, kind.average_precision(weights, "large"), kind.objects(weights[:1])[0])
            for kind in (each.mask, each.boundary)
        ]
        for each in judged
    ]
    images, values = matched(truth, plain, close)
    each = weights[:, images]
    mean = np.einsum("bn,nwk->bwk", each, values) / np.maximum(each.sum(axis=1), 1)[:, None, None]
    rows = [
        (name, *(interval(kind.mean_ap()) for kind in ap[way]), *(interval(mean[:, way, kind]) for kind in (0, 1)))
        for way, name in enumerate((PLAIN, CLOSE))
    ]
    gain = [shown(difference(ap[1][kind], ap[0][kind])) for kind in (0, 1)]
    rows.append(("gain", *gain, *(interval(mean[:, 1, kind] - mean[:, 0, kind]) for kind in (0, 1))))
    return Table(f"{title}, {len(images)} large objects found", HEADER, tuple(rows))


def shown(figure: Interval) -> str:
    """A difference of APs."""
    return "-" if figure.value is None else f"{figure.value:.1f} ({figure.low:.1f} to {figure.high:.1f})"


def main(
    data: Annotated[Path, typer.Option(help="Labelled images: instances_SPLIT.json, and images.")],
    split: Annotated[str, typer.Option(help="Which part of the data.")] = "val",
    fold: Annotated[str | None, typer.Option(help="Images of this part of the split only, such as 1/10.")] = None,
    model: Annotated[str, typer.Option(help="A model's name or folder.")] = "demo",
    engine: Annotated[str, typer.Option(help="What computes it.")] = "eager",
    resolution: Annotated[float, typer.Option(help="Of the network's input, of its own.")] = 1.0,
    threshold: Annotated[float, typer.Option(help="Minimum score of a detection.")] = 0.3,
    images: Annotated[int | None, typer.Option(min=1, help="At most so many images.")] = None,
    threads: Annotated[int, typer.Option(min=1)] = 2,
) -> None:
    """Measure and tell."""
    console = Console(width=None if Console().is_terminal else 160)
    segmenter = load(model, engine=engine, threads=threads)
    if not isinstance(segmenter, InstanceSegmenter) or not segmenter.has_points:
        raise typer.BadParameter("this model has no masks that are refined at points.", param_hint="--model")
    if resolution != 1:
        shrink(segmenter, resolution)
    truth = GroundTruth.read(data, split, segmenter.info.categories)
    part = None if fold is None else Fold.parse(fold)
    kept = tuple(each for each in truth.images if part is None or part.holds(each.path.name))
    ids = {each.id for each in kept}
    truth = replace(truth, images=kept, objects=tuple(o for o in truth.objects if o.image_id in ids)).limited(images)
    options = Options(score_threshold=threshold, categories=("all",))
    ways = {PLAIN: options, CLOSE: replace(options, zoom=True)}
    found: dict[str, dict[int, Prediction]] = {PLAIN: {}, CLOSE: {}}
    for asked in ways.values():  # the first predictions make memory and kernels
        segmenter(read_pixels(truth.images[0].path), asked)
    timings = []
    for number, image in enumerate(track(truth.images, "Images", console=console, transient=True)):
        pixels = read_pixels(image.path)
        spent = {}
        for way in (PLAIN, CLOSE) if number % 2 else (CLOSE, PLAIN):
            started = time.perf_counter()
            found[way][image.id] = segmenter(pixels, ways[way])
            spent[way] = (time.perf_counter() - started) * 1000
        pairs = zip(found[PLAIN][image.id].instances, found[CLOSE][image.id].instances, strict=True)
        again = sum(one.grid != other.grid for one, other in pairs)
        if again:
            timings.append(Timing(spent[PLAIN], spent[CLOSE], again))
    title = (
        f"{segmenter.info.name} {segmenter.info.version} ({engine}), network input {segmenter.model.config.min_size}, "
        f"{len(truth.images)} images, scores from {threshold}"
    )
    console.print(table(title, truth, found[PLAIN], found[CLOSE]).to_markdown())
    if len(timings) > 1:
        low, middle, high = statistics.quantiles([each.each for each in timings], n=4)
        whole = statistics.median(each.plain for each in timings)
        looked = sum(each.objects for each in timings)
        console.print(
            f"A second look: {middle:.0f} ms an object (quartiles {low:.0f} to {high:.0f}), {looked} objects in "
            f"{len(timings)} images, which take {whole:.0f} ms without; {threads} threads on {processor()}"
        )


if __name__ == "__main__":
    typer.run(main)
