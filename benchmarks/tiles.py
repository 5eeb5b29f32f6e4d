"""What tiles find in large images that a look at the whole does not: recall by object size, and what is wrong.

    python benchmarks/tiles.py --data DATA [--split val] [--fold 1/10] [--tiles 1024 ...] [--images 8] [--rounds 1]

Labelled photos are pasted into grey images of 6,000 x 4,000 pixels: most at their own size, at random places in a grid
of cells, so that tiles cut them anywhere, and two enlarged to half the image's height, so that objects are longer than
a tile. An object is found where a detection of its category has a mask with an IoU of at least 0.5; a detection that is
of no labelled object is false, unless its photo does not label its category. Intervals (95 %) are from resamples of
the photos. Seconds are medians, with quartiles in brackets, over all images and ``--rounds``, in each of which an image
is segmented in every way, one after the other.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco_mask
from rich.console import Console
from rich.progress import track

from pointrend.datasets.coco_items import DatasetImage
from pointrend.datasets.folds import Fold
from pointrend.datasets.ground_truth import GroundTruth, TrueObject
from pointrend.datasets.image_file import read_pixels
from pointrend.evaluation.bootstrap import resamples
from pointrend.evaluation.tables import Table
from pointrend.inference.loading import load
from pointrend.masks.rle import decode_crop, encode_crop
from pointrend.structures.options import Options
from pointrend.structures.prediction import Instance
from pointrend.system.machine import processor

HEADER = ("tiles", "small", "medium", "large", "longer than 1024", "mean IoU of those", "false", "s an image")
GREY, SAME = 114, 0.5
SMALL, MEDIUM, LONG = 32**2, 96**2, 1024  # pixels: areas as COCO has them, and a side
SIZES = ("small", "medium", "large", "long")


@dataclass(frozen=True, slots=True)
class Pasted:
    """A photo in a large image.

    Attributes:
        photo: what is labelled in it.
        x, y, width, height: where it lies, in pixels.
        objects: its objects, with masks of the large image.
    """

    photo: DatasetImage
    x: int
    y: int
    width: int
    height: int
    objects: tuple[Instance, ...]

    def holds(self, instance: Instance) -> bool:
        """Whether the middle of a detection lies in it."""
        x, y, width, height = instance.bbox
        return self.x <= x + width / 2 < self.x + self.width and self.y <= y + height / 2 < self.y + self.height


@dataclass(slots=True)
class Counts:
    """What was found of one photo's objects, by size, and the IoU of their masks."""

    objects: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(SIZES), np.int64))
    found: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(SIZES), np.int64))
    overlap: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(SIZES)))


def compose(
    photos: Sequence[DatasetImage], objects: Sequence[TrueObject], size: tuple[int, int], seed: int
) -> tuple[NDArray[np.uint8], list[Pasted]]:
    """Paste photos into an image of (height, width): the last two enlarged, the others in a grid of cells."""
    height, width = size
    image = np.full((*size, 3), GREY, np.uint8)
    random = np.random.default_rng(seed)
    half = height // 2
    rows = max(1, round(np.sqrt((len(photos) - 2) * height / (width - half))))
    columns = -(-(len(photos) - 2) // rows)
    pasted = []
    for index, photo in enumerate(photos):
        pixels = read_pixels(photo.path)
        large = index - (len(photos) - 2)
        if large >= 0:
            scale, x, y = half / max(pixels.shape[:2]), width - half, large * half
        else:
            cell_width, cell_height = (width - half) // columns, height // rows
            scale = min(1.0, cell_width / pixels.shape[1], cell_height / pixels.shape[0])
            x = index % columns * cell_width + int(random.integers(0, cell_width - scale * pixels.shape[1] + 1))
            y = index // columns * cell_height + int(random.integers(0, cell_height - scale * pixels.shape[0] + 1))
        shape = int(pixels.shape[0] * scale), int(pixels.shape[1] * scale)
        resized = Image.fromarray(pixels).resize(shape[::-1], Image.Resampling.BICUBIC)
        image[y : y + shape[0], x : x + shape[1]] = np.asarray(resized)
        own = [each for each in objects if each.image_id == photo.id and not each.crowd]
        placed = tuple(_placed(each, x, y, shape, size) for each in own)
        pasted.append(Pasted(photo, x, y, shape[1], shape[0], tuple(each for each in placed if each.area)))
    return image, pasted


def _placed(each: TrueObject, x: int, y: int, shape: tuple[int, int], size: tuple[int, int]) -> Instance:
    """A labelled object where its photo was pasted at (height, width) ``shape``."""
    left, top, crop = decode_crop(each.segmentation)
    scale = shape[0] / each.segmentation["size"][0], shape[1] / each.segmentation["size"][1]
    bounds = (int(top * scale[0]), int(left * scale[1]))
    height = min(round(crop.shape[0] * scale[0]), shape[0] - bounds[0])
    width = min(round(crop.shape[1] * scale[1]), shape[1] - bounds[1])
    if height < 1 or width < 1:
        return Instance(each.category_id, "", 1.0, (0.0, 0.0, 0.0, 0.0), 0, None)
    mask = np.asarray(Image.fromarray(crop).resize((width, height), Image.Resampling.NEAREST))
    mask_x, mask_y = x + bounds[1], y + bounds[0]
    box = (float(mask_x), float(mask_y), float(width), float(height))
    return Instance(each.category_id, "", 1.0, box, int(mask.sum()), encode_crop(mask, mask_x, mask_y, *size))


def judge(found: Sequence[Instance], pasted: Sequence[Pasted]) -> tuple[list[Counts], int]:
    """What was found of each photo, and how many detections are false."""
    matched: set[int] = set()
    counts = []
    for photo in pasted:
        count = Counts()
        for each in photo.objects:
            near = [index for index, other in enumerate(found) if other.category_id == each.category_id]
            masks: list[Any] = [found[index].segmentation for index in near]
            overlaps = coco_mask.iou([each.segmentation], masks, [0] * len(masks))[0] if masks else np.zeros(1)
            size = _size(each)
            count.objects[size] += 1
            if overlaps.max() >= SAME:
                matched.add(near[int(overlaps.argmax())])
                count.found[size] += 1
                count.overlap[size] += overlaps.max()
        counts.append(count)
    judged = [
        instance
        for index, instance in enumerate(found)
        if index not in matched
        and instance.category_id is not None  # as only boxes without a category have
        and all(photo.photo.labels(instance.category_id) for photo in pasted if photo.holds(instance))
    ]
    return counts, len(judged)


def _size(each: Instance) -> int:
    if max(each.bbox[2:]) > LONG:
        return SIZES.index("long")
    assert each.area is not None
    return SIZES.index("small" if each.area < SMALL else "medium" if each.area < MEDIUM else "large")


def row(name: str, counts: Sequence[Counts], false: int, seconds: Sequence[float], images: int) -> tuple[str, ...]:
    """A line of the table; ``seconds`` are those of each image, in each round."""
    weights = resamples(len(counts), 1000)
    objects, found, overlap = (
        weights @ np.array([getattr(each, kind) for each in counts]) for kind in ("objects", "found", "overlap")
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        recall, mean_overlap = 100 * found / objects, (overlap / found)[0, -1]
    cells = []
    for size in range(len(SIZES)):
        low, high = np.nanpercentile(recall[1:, size], [2.5, 97.5]) if objects[0, size] else (np.nan, np.nan)
        cells.append(f"{recall[0, size]:.0f} ({low:.0f} to {high:.0f})" if objects[0, size] else "-")
    low, median, high = np.percentile(seconds, [25, 50, 75])
    return name, *cells, f"{mean_overlap:.2f}", f"{false / images:.1f}", f"{median:.2f} [{low:.2f} to {high:.2f}]"


def main(
    data: Annotated[Path, typer.Option(help="Labelled photos: instances_SPLIT.json, and images.")],
    split: Annotated[str, typer.Option(help="Which part of the data.")] = "val",
    fold: Annotated[str | None, typer.Option(help="Photos of this part of the split only, such as 1/10.")] = None,
    model: Annotated[str, typer.Option(help="A model's name or folder.")] = "demo",
    engine: Annotated[str, typer.Option(help="What computes it.")] = "eager",
    tiles: Annotated[list[int] | None, typer.Option(help="Sides of tiles. [default: 1024]")] = None,
    images: Annotated[int, typer.Option(min=1, help="Large images.")] = 8,
    rounds: Annotated[int, typer.Option(min=1, help="How often each is segmented in each way, for the seconds.")] = 1,
    photos: Annotated[int, typer.Option(min=3, help="Pasted into each of them.")] = 18,
    threshold: Annotated[float, typer.Option(help="Minimum score of a detection.")] = Options().score_threshold,
    width: Annotated[int, typer.Option(help="Of a large image.")] = 6000,
    height: Annotated[int, typer.Option(help="Of a large image.")] = 4000,
) -> None:
    """Measure and tell."""
    console = Console(width=None if Console().is_terminal else 160)
    segment = load(model, engine=engine)
    truth = GroundTruth.read(data, split, segment.info.categories)
    part = None if fold is None else Fold.parse(fold)
    chosen = [each for each in truth.images if part is None or part.holds(each.path.name)]
    order = np.random.default_rng(0).permutation(len(chosen))
    options = Options(score_threshold=threshold, categories=("all",))
    ways = {"-": options} | {str(side): replace(options, tiles=side) for side in tiles or [1024]}
    counts: dict[str, list[Counts]] = {name: [] for name in ways}
    false = dict.fromkeys(ways, 0)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in track(range(images), "Images", console=console, transient=True):
        own = [chosen[order[(number * photos + index) % len(chosen)]] for index in range(photos)]
        image, pasted = compose(own, truth.objects, (height, width), number)
        found: dict[str, tuple[Instance, ...]] = {}
        for _ in range(rounds):
            for name, asked in ways.items():
                started = time.perf_counter()
                found[name] = segment(image, asked).instances
                seconds[name].append(time.perf_counter() - started)
        for name in ways:
            judged, wrong = judge(found[name], pasted)
            counts[name] += judged
            false[name] += wrong
    rows = tuple(row(name, counts[name], false[name], seconds[name], images) for name in ways)
    numbers = np.sum([each.objects for each in counts["-"]], axis=0).tolist()
    objects = ", ".join(f"{number} {size}" for number, size in zip(numbers, SIZES, strict=True))
    title = (
        f"Recall in %, {segment.info.name} {segment.info.version} ({engine}), {images} images of {width} x {height} "
        f"with {photos} photos each, scores from {threshold}; objects: {objects}; {processor()}"
    )
    console.print(Table(title, HEADER, rows).to_markdown())


if __name__ == "__main__":
    typer.run(main)
