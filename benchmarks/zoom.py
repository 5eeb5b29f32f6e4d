"""What a second look at large objects is worth, and what it costs: the same detections with zoom=true and without.

    python benchmarks/zoom.py --data DATA [--split val] [--fold 1/10] [--resolution 0.5] [--model demo]
    python benchmarks/zoom.py --time PHOTO [--time PHOTO ...] [--rounds 7] [--engine openvino]

With ``--resolution 0.5`` the network's input has half its sides, and masks are judged at the images' full size:
labelled images are small, and the images that a second look is for are larger than a network's input. Boundary AP is
that of large objects (more than 96 x 96 pixels), of detections from ``--threshold`` up. Boundary IoU is the mean over
large objects with a detection of their category whose box has an IoU of at least 0.5. Intervals (95 %) are from
resamples of the images; that of a difference is of both on the same ones.

``--time`` needs no labels: times are of the whole prediction of a photo of your own, and the two ways take turns.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
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


def timed(segmenter: InstanceSegmenter, name: str, image: NDArray[np.uint8], options: Options, rounds: int) -> str:
    """Milliseconds of a photo without a second look, and what that adds for each object that gets one."""
    ways = {PLAIN: options, CLOSE: replace(options, zoom=True)}
    spent: dict[str, list[float]] = {way: [] for way in ways}
    found: dict[str, Prediction] = {}
    for turn in range(rounds + 1):
        for way, asked in ways.items():
            started = time.perf_counter()
            found[way] = segmenter(image, asked)
            if turn:  # the first one makes memory and kernels
                spent[way].append((time.perf_counter() - started) * 1000)
    pairs = zip(found[PLAIN].instances, found[CLOSE].instances, strict=True)
    again = sum(one.grid != other.grid for one, other in pairs)
    size = f"{name}, {image.shape[1]} x {image.shape[0]}: {statistics.median(spent[PLAIN]):.0f} ms"
    if not again:
        return f"{size}; no object is looked at again"
    added = [(close - plain) / again for plain, close in zip(spent[PLAIN], spent[CLOSE], strict=True)]
    low, middle, high = statistics.quantiles(added, n=4)
    return f"{size}; {middle:.0f} ms more (quartiles {low:.0f} to {high:.0f}) for each of {again} objects"


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


def judge(segmenter: InstanceSegmenter, title: str, truth: GroundTruth, options: Options, console: Console) -> Table:
    """Predict every image in both ways, and judge them."""
    found: dict[str, dict[int, Prediction]] = {PLAIN: {}, CLOSE: {}}
    for image in track(truth.images, "Images", console=console, transient=True):
        pixels = read_pixels(image.path)
        found[PLAIN][image.id] = segmenter(pixels, options)
        found[CLOSE][image.id] = segmenter(pixels, replace(options, zoom=True))
    return table(f"{title}, {len(truth.images)} images", truth, found[PLAIN], found[CLOSE])


def main(
    data: Annotated[Path | None, typer.Option(help="Labelled images: instances_SPLIT.json, and images.")] = None,
    split: Annotated[str, typer.Option(help="Which part of the data.")] = "val",
    fold: Annotated[str | None, typer.Option(help="Images of this part of the split only, such as 1/10.")] = None,
    model: Annotated[str, typer.Option(help="A model's name or folder.")] = "demo",
    engine: Annotated[str, typer.Option(help="What computes it.")] = "eager",
    resolution: Annotated[float, typer.Option(help="Of the network's input, of its own.")] = 1.0,
    threshold: Annotated[float, typer.Option(help="Minimum score of a detection.")] = 0.3,
    images: Annotated[int | None, typer.Option(min=1, help="At most so many images.")] = None,
    photos: Annotated[list[Path] | None, typer.Option("--time", help="A photo to time both ways on.")] = None,
    rounds: Annotated[int, typer.Option(min=2, help="Of each way on a photo.")] = 7,
    threads: Annotated[int, typer.Option(min=1)] = 2,
) -> None:
    """Measure and tell."""
    console = Console(width=None if Console().is_terminal else 160)
    segmenter = load(model, engine=engine, threads=threads)
    if not isinstance(segmenter, InstanceSegmenter) or not segmenter.has_points:
        raise typer.BadParameter("this model has no masks that are refined at points.", param_hint="--model")
    if resolution != 1:
        shrink(segmenter, resolution)
    options = Options(score_threshold=threshold, categories=("all",))
    title = (
        f"{segmenter.info.name} {segmenter.info.version} ({engine}), network input {segmenter.model.config.min_size}, "
        f"scores from {threshold}"
    )
    if data is not None:
        truth = GroundTruth.read(data, split, segmenter.info.categories)
        part = None if fold is None else Fold.parse(fold)
        kept = tuple(each for each in truth.images if part is None or part.holds(each.path.name))
        ids = {each.id for each in kept}
        own = tuple(each for each in truth.objects if each.image_id in ids)
        judged = judge(segmenter, title, replace(truth, images=kept, objects=own).limited(images), options, console)
        console.print(judged.to_markdown())
    for photo in photos or ():
        console.print(timed(segmenter, photo.name, read_pixels(photo), options, rounds), soft_wrap=True)
    if photos:
        console.print(f"{title}; {threads} threads on {processor()}", soft_wrap=True)


if __name__ == "__main__":
    typer.run(main)
