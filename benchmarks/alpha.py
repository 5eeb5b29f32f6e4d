"""Soft and hard edges of cut-outs against known alphas: SAD, gradient error, and the picture before another background.

    python -m benchmarks.alpha --data DATA [--split val] [--objects 40] [--defocus 0.5] [--model demo]

An object of a labelled photo is cut out by its mask, two pixels inside of it, so that its colours are its own, and
composited onto another photo at three times its size. Scaled down, its alpha is known as the share of each pixel that
it covers. ``--defocus`` blurs it before, as a lens does. The model finds it there; objects found with an IoU below 0.5
are left out. Errors are of all pixels within 12 of the true outline or 3 of the found one, a pixel of outline:

- SAD: absolute differences of alpha;
- gradient: squared differences of the magnitude of its gradient (Rhemann et al., CVPR 2009; sigma 1.4);
- picture: absolute differences of colour, in percent of their range, once the object stands before one random colour.

Brackets hold the 95 % interval of the difference to hard edges, paired, from resamples of the objects. With PyMatting
installed (``pip install pymatting``) its foreground estimate and its closed-form matting are judged too.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from rich.console import Console
from rich.progress import track

from benchmarks.image_filters import Floats, around, band, blurred, gradient_magnitude, scaled
from pointrend.datasets.ground_truth import GroundTruth
from pointrend.datasets.image_file import read_pixels
from pointrend.evaluation.bootstrap import resamples
from pointrend.evaluation.tables import Table
from pointrend.inference.loading import load
from pointrend.masks.alpha import soft_alpha
from pointrend.masks.decode import full
from pointrend.structures.options import Options
from pointrend.structures.prediction import Prediction
from pointrend.system.machine import processor
from pointrend.visualize.foreground import foreground

HEADER = ("edges", "SAD", "gradient", "picture", "ms an object")
FINER = 3  # times the size at which objects are composited
INSIDE = 2  # pixels that an object is cut out inside of its labelled mask
SMALLEST, LARGEST = 60**2, 0.5  # pixels, and share of the photo
SAME = 0.5  # IoU
TRUE_BAND, FOUND_BAND = 12, 3
MARGIN = 24  # pixels around an object that are judged
RAMP = 1.5  # pixels of an outline from the logits

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Case:
    """An object before another background, and what was found of it.

    Attributes:
        image: (h, w, 3) the composite.
        alpha: (h, w) the object's, 0 to 1.
        colours: (h, w, 3) the object's, where alpha is not 0.
        levels: (h, w) its probability as the model says it, as in :mod:`pointrend.masks.probabilities`.
    """

    image: Pixels
    alpha: Floats
    colours: Floats
    levels: Pixels

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(h, w): where the model sees it."""
        return self.levels >= 128


Way = Callable[[Case], tuple[Pixels, Pixels]]
"""Alpha (h, w) and colours (h, w, 3)."""


def compose(photo: Pixels, mask: NDArray[np.bool_], behind: Pixels, defocus: float) -> Case | None:
    """Put an object before another photo, of any size; None where there is hardly any of it. Nothing is found yet."""
    core = np.asarray(Image.fromarray(mask).convert("L").filter(ImageFilter.MinFilter(2 * INSIDE + 1))) > 0
    if core.sum() < SMALLEST / 2:
        return None
    height, width = mask.shape
    y, x = around(core, 8)
    rows, columns = core[y, x].shape
    fine = columns * FINER, rows * FINER
    inside = scaled(blurred(core[y, x].astype(np.float32), 1.0), fine) >= 0.5
    colours = np.stack([scaled(photo[y, x, c].astype(np.float32), fine) for c in range(3)], axis=2).clip(0, 255)
    object_ = np.concatenate((colours, np.full((*inside.shape, 1), 255, np.float32)), axis=2) * inside[..., None]
    object_ = blurred(object_, defocus * FINER)
    object_ = object_.reshape(rows, FINER, columns, FINER, 4).mean((1, 3))  # premultiplied
    whole = np.zeros((height, width, 4), np.float32)
    whole[y, x] = object_
    alpha = whole[..., 3] / 255
    wall = np.asarray(Image.fromarray(behind).resize((width, height), Image.Resampling.BICUBIC))
    image = (whole[..., :3] + (1 - alpha[..., None]) * wall + 0.5).clip(0, 255).astype(np.uint8)
    return Case(image, alpha, whole[..., :3] / np.maximum(alpha[..., None], 1e-3), np.zeros(mask.shape, np.uint8))


def found(case: Case, category: int, prediction: Prediction) -> Case | None:
    """The case with what was found of its object, cropped around it; None where it was not found."""
    truth = case.alpha >= 0.5
    best, overlap = None, SAME
    for each in prediction.instances:
        if each.category_id != category or each.probabilities is None:
            continue
        x, y, crop = each.probability_crop()
        levels = np.zeros(truth.shape, np.uint8)
        levels[y : y + crop.shape[0], x : x + crop.shape[1]] = crop
        mask = levels >= 128
        iou = (mask & truth).sum() / max(1, (mask | truth).sum())
        if iou >= overlap:
            best, overlap = levels, iou
    if best is None:
        return None
    place = around((best > 0) | (case.alpha > 0), MARGIN)
    return Case(case.image[place], case.alpha[place], case.colours[place], best[place])


def errors(case: Case, alpha: Pixels, colours: Pixels, wall: Floats) -> tuple[float, float, float]:
    """SAD, gradient error and error of the picture before a wall of one colour (3,), a pixel of true outline."""
    truth = case.alpha >= 0.5
    judged = band(truth, TRUE_BAND) | band(case.mask, FOUND_BAND)
    length = max(1.0, band(truth, 1).sum() / 2)
    share = (alpha / 255).astype(np.float32)
    gradients = gradient_magnitude(share) - gradient_magnitude(case.alpha)
    picture = share[..., None] * (colours - wall) - case.alpha[..., None] * (case.colours - wall)
    sums = (
        np.abs(share - case.alpha)[judged].sum(),
        (gradients[judged] ** 2).sum(),
        np.abs(picture[judged]).mean(axis=1).sum() / 2.55,
    )
    sad, gradient, shown = (float(each / length) for each in sums)
    return sad, gradient, shown


def logit_alpha(levels: Pixels) -> Pixels:
    """Alpha as the signed distance from the outline, which is the logit over its slope: a ramp of RAMP pixels."""
    probability = (levels.astype(np.float32) + 0.5) / 256
    logits = np.log(probability / (1 - probability))
    slope = np.hypot(*np.gradient(logits))
    distance = logits / np.maximum(slope, 1e-6)
    alpha: Pixels = ((0.5 + distance / RAMP).clip(0, 1) * 255 + 0.5).astype(np.uint8)
    return alpha


def ways() -> dict[str, Way]:
    """What is compared; the first is what the others are compared with."""
    compared: dict[str, Way] = {
        "hard": lambda case: (case.mask * np.uint8(255), case.image),
        "soft": lambda case: _with_foreground(case, soft_alpha(case.mask)),
        "soft, the image's colours": lambda case: (soft_alpha(case.mask), case.image),
        "from the logits": lambda case: _with_foreground(case, logit_alpha(case.levels)),
        "the probability": lambda case: _with_foreground(case, case.levels),
    }
    if importlib.util.find_spec("pymatting"):
        compared |= _pymatting()
    return compared


def _with_foreground(case: Case, alpha: Pixels) -> tuple[Pixels, Pixels]:
    return alpha, foreground(case.image, alpha)


def _pymatting() -> dict[str, Way]:
    import pymatting

    def estimated(case: Case) -> tuple[Pixels, Pixels]:
        alpha = soft_alpha(case.mask)
        colours = pymatting.estimate_foreground_ml(case.image / 255.0, alpha / 255.0)
        return alpha, (colours * 255 + 0.5).clip(0, 255).astype(np.uint8)

    def closed_form(case: Case) -> tuple[Pixels, Pixels]:
        trimap = np.where(band(case.mask, 2), 0.5, case.mask)
        if not (trimap == 1).any():
            return _with_foreground(case, soft_alpha(case.mask))
        alpha = pymatting.estimate_alpha_cf(case.image / 255.0, trimap)
        return _with_foreground(case, (alpha * 255 + 0.5).clip(0, 255).astype(np.uint8))

    return {"soft, PyMatting's colours": estimated, "closed-form matting, 2 px": closed_form}


def cases(segment: Any, data: Path, split: str, count: int, defocus: float) -> Iterator[Case]:
    """Objects that the model found, at most ``count``, in a random order that is always the same."""
    truth = GroundTruth.read(data, split, segment.info.categories)
    images = {image.id: image for image in truth.images}
    random = np.random.default_rng(0)
    options = Options(masks="probability", score_threshold=0.3, categories=("all",))
    for index in random.permutation(len(truth.objects)):
        each = truth.objects[index]
        image, (x, y, width, height) = images[each.image_id], each.bbox
        is_whole = min(x, y, image.width - x - width, image.height - y - height) > 4
        if each.crowd or not is_whole or not SMALLEST < each.area < LARGEST * image.width * image.height:
            continue
        photo, behind = read_pixels(image.path), read_pixels(truth.images[random.integers(len(images))].path)
        composed = compose(photo, full(each.segmentation, photo.shape[:2]), behind, defocus)
        case = composed and found(composed, each.category_id, segment(composed.image, options))
        if case:
            yield case
            count -= 1
            if not count:
                return


def row(name: str, values: NDArray[np.float64], base: NDArray[np.float64], seconds: float) -> tuple[str, ...]:
    """A line of the table, of errors (N, 3) of one way and of the first one."""
    weights = resamples(len(values), 1000)[1:]
    low, high = np.percentile(weights @ (values - base) / len(values), [2.5, 97.5], axis=0)
    cells = [
        f"{mean:.3f}" + ("" if values is base else f" ({low[index]:+.3f} to {high[index]:+.3f})")
        for index, mean in enumerate(values.mean(axis=0))
    ]
    return name, *cells, f"{1000 * seconds / len(values):.0f}"


def main(
    data: Annotated[Path, typer.Option(help="Labelled photos: instances_SPLIT.json, and images.")],
    split: Annotated[str, typer.Option(help="Which part of the data.")] = "val",
    objects: Annotated[int, typer.Option(min=2, help="How many are judged.")] = 40,
    defocus: Annotated[float, typer.Option(min=0, help="Standard deviation of the blur, in pixels.")] = 0.5,
    model: Annotated[str, typer.Option(help="A model's name or folder.")] = "demo",
    engine: Annotated[str, typer.Option(help="What computes it.")] = "eager",
) -> None:
    """Measure and tell."""
    console = Console(width=None if Console().is_terminal else 200)
    segment = load(model, engine=engine)
    compared, random = ways(), np.random.default_rng(1)
    measured: dict[str, list[tuple[float, float, float]]] = {name: [] for name in compared}
    seconds = dict.fromkeys(compared, 0.0)
    every = cases(segment, data, split, objects, defocus)
    for case in track(every, "Objects", total=objects, console=console, transient=True):
        wall = random.integers(0, 256, 3).astype(np.float32)
        for name, way in compared.items():
            started = time.perf_counter()
            alpha, colours = way(case)
            seconds[name] += time.perf_counter() - started
            measured[name].append(errors(case, alpha, colours, wall))
    base = np.array(measured["hard"]).reshape(-1, 3)
    if len(base) < 2:
        raise typer.BadParameter(f"The model found {len(base)} of the objects; there is nothing to compare.")
    rows = tuple(
        row(name, base if name == "hard" else np.array(measured[name]), base, seconds[name]) for name in compared
    )
    title = (
        f"Errors a pixel of outline, {segment.info.name} {segment.info.version} ({engine}), {len(base)} objects, "
        f"defocus {defocus}; {processor()}"
    )
    console.print(Table(title, HEADER, rows).to_markdown())


if __name__ == "__main__":
    typer.run(main)
