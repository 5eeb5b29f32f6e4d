"""What the page keeps of one answer, so that it can be shown in every way without asking the server again.

Shapes: H, W are the photo's height and width, h, w those of the picture on the screen, all in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gradio_app.regions import regions
from pointrend.errors import RequestError
from pointrend.images.decode import decode
from pointrend.masks.decode import window
from pointrend.masks.rle import encode_crop
from pointrend.masks.semantic import merge
from pointrend.structures.labels import instance_labels
from pointrend.structures.model_info import Category
from pointrend.structures.prediction import Instance, Prediction
from pointrend.structures.segments import segments
from pointrend.visualize.effects import WHITE, Effect
from pointrend.visualize.overlay import overlay
from pointrend.visualize.palettes import Colour
from pointrend.visualize.uncertainty import uncertainty_picture

Picture = NDArray[np.uint8]

LOWEST_SCORE = 0.05  # what the server is asked for: everything that its model reports
SCREEN_SIDE = 1280  # the longer side of what is shown; a phone's photo has 4,000 and more
MASKS, BOXES, SEMANTIC, CUTOUTS = "Masks", "Boxes", "Semantic map", "Cut-outs"
UNSURE = "Where unsure"  # needs Result.with_probabilities
VIEWS = (MASKS, BOXES, SEMANTIC, CUTOUTS, UNSURE)
_DIMMED = 0.35  # the brightness that is left of everything around the object that is singled out


@dataclass(frozen=True, slots=True)
class ViewSelection:
    """What of the answer is to be seen.

    Attributes:
        view: one of :data:`VIEWS`.
        threshold: instances from this score up.
        categories: names of the categories to show; None for all.
        opacity: of the masks, from 0 to 1.
        chosen: the instance to single out, by its place in the answer; None for none.
        kept: places of the instances that the viewer left visible, which then decide alone; None for all that
            ``threshold`` and ``categories`` let through.
        effect: what becomes of the background, where that is saved.
        colour: of the background, where the effect is ``colour``.
        background: an image file, where the effect is ``picture``.
    """

    view: str = MASKS
    threshold: float = 0.5
    categories: tuple[str, ...] | None = None
    opacity: float = 0.5
    chosen: int | None = None
    kept: tuple[int, ...] | None = None
    effect: Effect = "blur"
    colour: Colour = WHITE
    background: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Result:
    """A photo and what was found in it.

    Attributes:
        file_name: of the photo.
        data: the photo's file as it came.
        prediction: of the whole photo, down to :data:`LOWEST_SCORE`.
        screen: (h, w, 3) uint8 RGB, the photo as it is shown.
        scaled: the same prediction for ``screen``.
        labels: of all instances: an object keeps its name whatever is hidden.
        is_map: whether a semantic model answered: the instances are its categories' regions, and nothing has a score.
        drawn: how many of the instances, the last ones, are of boxes that a viewer drew.
    """

    file_name: str
    data: bytes = field(repr=False)
    prediction: Prediction = field(repr=False)
    screen: Picture = field(repr=False)
    scaled: Prediction = field(repr=False)
    labels: tuple[str, ...]
    is_map: bool = False
    drawn: int = 0

    @classmethod
    def of(cls, file_name: str, data: bytes, prediction: Prediction, screen: Picture | None = None) -> Result:
        """Prepare an answer for the screen: the photo and each mask are scaled once.

        Args:
            file_name: of the photo.
            data: the photo's file.
            prediction: the answer.
            screen: :func:`fitted` of the photo, where that was made before.

        Raises:
            RequestError: the photo is none that can be shown; the server would have refused it.
        """
        screen = fitted(decode(data)) if screen is None else screen
        height, width = screen.shape[:2]
        is_map = prediction.task == "semantic"
        if is_map:
            prediction = regions(prediction)
            labels = tuple(instance.name for instance in prediction.instances)
        else:
            labels = tuple(instance_labels(prediction))
        is_whole = (height, width) == (prediction.height, prediction.width)
        scaled = prediction if is_whole else _scaled(prediction, width, height)
        return cls(
            file_name=file_name,
            data=data,
            prediction=prediction,
            screen=screen,
            scaled=scaled,
            labels=labels,
            is_map=is_map,
        )

    def visible(self, choice: ViewSelection) -> list[int]:
        """The places of the instances that a choice lets through, best first."""
        if choice.kept is not None:
            return [index for index in range(len(self.prediction.instances)) if index in choice.kept]
        return [
            index
            for index, instance in enumerate(self.prediction.instances)
            if instance.score >= choice.threshold and (choice.categories is None or instance.name in choice.categories)
        ]

    def visible_prediction(self, choice: ViewSelection) -> Prediction:
        """The prediction for the whole photo, of what a choice lets through."""
        kept = tuple(self.prediction.instances[index] for index in self.visible(choice))
        return replace(self.prediction, instances=kept)

    def full_picture(self, choice: ViewSelection) -> Picture:
        """Draw a view (not :data:`CUTOUTS`) on the photo at its own size: (H, W, 3) uint8 RGB."""
        if choice.view == UNSURE:
            return uncertainty_picture(decode(self.data), self.visible_prediction(choice))
        return _draw(decode(self.data), self.prediction, self.visible(choice), choice)

    @property
    def detected(self) -> tuple[Instance, ...]:
        """The instances that the model found by itself."""
        return self.prediction.instances[: len(self.prediction.instances) - self.drawn]

    def with_drawn(self, found: Prediction) -> Result:
        """The same with the object of a box that a viewer drew, the last one."""
        added = Result.of(self.file_name, self.data, found, self.screen)
        prediction, scaled = (
            replace(before, instances=(*before.instances, *more.instances))
            for before, more in ((self.prediction, added.prediction), (self.scaled, added.scaled))
        )
        prediction = replace(prediction, timing_ms=found.timing_ms)
        labels = tuple(instance_labels(prediction))
        return replace(self, prediction=prediction, scaled=scaled, labels=labels, drawn=self.drawn + 1)

    def with_probabilities(self, prediction: Prediction) -> Result:
        """The same with each pixel's probability.

        Args:
            prediction: what the same request finds with ``masks=probability``.

        Raises:
            RequestError: it has other objects, since another model was served when the result was made.
        """
        found = self.detected
        if [each.bbox for each in found] != [each.bbox for each in prediction.instances]:
            raise RequestError(
                "The model has changed since this result was made. Press Find again.", code="result_changed", status=409
            )
        known = [
            replace(instance, probabilities=other.probabilities)
            for instance, other in zip(found, prediction.instances, strict=True)
        ]
        instances = (*known, *self.prediction.instances[len(found) :])
        return replace(self, prediction=replace(self.prediction, instances=instances))

    @property
    def nbytes(self) -> int:
        """About how much memory it takes, in bytes."""
        masks = sum(
            len(instance.segmentation["counts"])
            for prediction in (self.prediction, self.scaled)
            for instance in prediction.instances
            if isinstance(instance.segmentation, dict)
        )
        probabilities = sum(len(each.probabilities["png"]) for each in self.prediction.instances if each.probabilities)
        return len(self.data) + self.screen.nbytes + masks + probabilities


def _draw(photo: Picture, prediction: Prediction, visible: list[int], choice: ViewSelection) -> Picture:
    """Draw instances with the colours and labels that they have in the whole answer."""
    if choice.view == SEMANTIC:
        return overlay(photo, _semantic(prediction, visible), choice.opacity)
    if choice.chosen in visible:
        photo = _spotlight(photo, prediction, choice)
        visible = [index for index in visible if index == choice.chosen]
    if choice.view == BOXES:
        boxes = tuple(replace(instance, segmentation=None) for instance in prediction.instances)
        prediction = replace(prediction, instances=boxes)
    return overlay(photo, prediction, choice.opacity, only=visible)


def _spotlight(photo: Picture, prediction: Prediction, choice: ViewSelection) -> Picture:
    """Darken everything around the chosen instance."""
    assert choice.chosen is not None
    instance = prediction.instances[choice.chosen]
    lit = (photo * _DIMMED).astype(np.uint8)
    if choice.view == BOXES or instance.segmentation is None:
        x, y, width, height = (round(value) for value in instance.bbox)
        lit[y : y + height, x : x + width] = photo[y : y + height, x : x + width]
    else:
        x, y, mask = window(instance.segmentation, photo.shape[:2])
        rows, columns = slice(y, y + mask.shape[0]), slice(x, x + mask.shape[1])
        lit[rows, columns][mask] = photo[rows, columns][mask]
    return lit


def _semantic(prediction: Prediction, visible: list[int]) -> Prediction:
    """One mask a category, in which the best instance wins a pixel; as the server's ``task=semantic``."""
    size = prediction.height, prediction.width
    shown = [prediction.instances[index] for index in visible if prediction.instances[index].segmentation is not None]
    known = {instance.category_id or 0: instance.name for instance in shown}
    categories = [Category(identity, name) for identity, name in known.items()]
    places = {category.id: place for place, category in enumerate(categories)}
    windows = [window(instance.segmentation, size) for instance in shown if instance.segmentation is not None]
    merged = merge(windows, [places[instance.category_id or 0] for instance in shown], size)
    return replace(prediction, task="semantic", instances=(), segments=segments(merged, categories, "rle"))


def fitted(photo: Picture) -> Picture:
    """A photo (H, W, 3) made to fit the screen; it is never enlarged."""
    height, width = photo.shape[:2]
    shrink = SCREEN_SIDE / max(height, width)
    if shrink >= 1:
        return photo
    size = max(1, round(width * shrink)), max(1, round(height * shrink))
    return np.asarray(Image.fromarray(photo).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))


def _scaled(prediction: Prediction, width: int, height: int) -> Prediction:
    """The prediction of the same photo at another size."""
    return replace(
        prediction,
        width=width,
        height=height,
        instances=tuple(_scaled_instance(each, prediction, width, height) for each in prediction.instances),
    )


def _scaled_instance(instance: Instance, prediction: Prediction, width: int, height: int) -> Instance:
    across, down = width / prediction.width, height / prediction.height
    x, y, box_width, box_height = instance.bbox
    box = (x * across, y * down, box_width * across, box_height * down)
    if instance.segmentation is None:
        return replace(instance, bbox=box)
    left, top, mask = window(instance.segmentation, (prediction.height, prediction.width))
    if mask.size == 0:
        empty = encode_crop(np.zeros((0, 0), dtype=np.bool_), 0, 0, height, width)
        return replace(instance, bbox=box, segmentation=empty)
    # The window's edges fall between the screen's pixels: widen to whole ones, and read the mask at their centres.
    x0, y0 = int(left * across), int(top * down)
    x1 = min(width, int(np.ceil((left + mask.shape[1]) * across)))
    y1 = min(height, int(np.ceil((top + mask.shape[0]) * down)))
    columns = ((np.arange(x0, x1) + 0.5) / across - left).astype(int)
    rows = ((np.arange(y0, y1) + 0.5) / down - top).astype(int)
    inside_columns = (columns >= 0) & (columns < mask.shape[1])
    inside_rows = (rows >= 0) & (rows < mask.shape[0])
    small = np.zeros((y1 - y0, x1 - x0), dtype=np.bool_)
    small[np.ix_(inside_rows, inside_columns)] = mask[np.ix_(rows[inside_rows], columns[inside_columns])]
    return replace(instance, bbox=box, segmentation=encode_crop(small, x0, y0, height, width))
