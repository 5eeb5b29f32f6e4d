"""What the page keeps of one answer, so that it can be shown in every way without asking the server again.

Shapes: H, W are the photo's height and width, h, w those of the picture on the screen, all in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gradio_app.regions import regions
from gradio_app.scaling import scaled_instance, scaled_prediction
from pointrend.errors import InvalidRequest, RequestError
from pointrend.images.decode import decode
from pointrend.masks.decode import window
from pointrend.masks.semantic import merge
from pointrend.structures.corrections import Add, Correction, correct, replay
from pointrend.structures.labels import instance_labels
from pointrend.structures.model_info import Category
from pointrend.structures.prediction import Prediction
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
MOST_OBJECTS = 500  # that a viewer's corrections may make of a result
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
        found: what the model found in the whole photo by itself, down to :data:`LOWEST_SCORE`.
        prediction: the same with the viewer's corrections.
        screen: (h, w, 3) uint8 RGB, the photo as it is shown.
        scaled: the corrected prediction for ``screen``.
        labels: of all instances: an object keeps its name whatever is hidden.
        is_map: whether a semantic model answered: the instances are its categories' regions, and nothing has a score.
        edits: the viewer's corrections, each of what the one before has left.
        origins: of each instance, its place before the last correction, or before that was undone; None of one that
            was not there.
    """

    file_name: str
    data: bytes = field(repr=False)
    found: Prediction = field(repr=False)
    prediction: Prediction = field(repr=False)
    screen: Picture = field(repr=False)
    scaled: Prediction = field(repr=False)
    labels: tuple[str, ...]
    is_map: bool = False
    edits: tuple[Correction, ...] = ()
    origins: tuple[int | None, ...] = ()

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
        scaled = prediction if is_whole else scaled_prediction(prediction, width, height)
        return cls(
            file_name=file_name,
            data=data,
            found=prediction,
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
    def drawn(self) -> int:
        """How many boxes the viewer drew."""
        return sum(isinstance(edit, Add) for edit in self.edits)

    def edited(self, edit: Correction) -> Result:
        """The same with a further correction.

        Raises:
            InvalidRequest: it cannot be made.
        """
        if self.is_map:
            raise InvalidRequest(
                "The regions of a semantic model are no single objects, and cannot be corrected.", field="edit"
            )
        done = correct(self.prediction, [edit])
        count = len(done.prediction.instances)
        if count > max(MOST_OBJECTS, len(self.prediction.instances)):
            raise InvalidRequest(
                f"The result would have {count} objects; at most {MOST_OBJECTS} are kept. Delete some first.",
                field="edit",
                limit=MOST_OBJECTS,
                value=count,
            )
        return self._with(done.prediction, (*self.edits, edit), done.origins)

    def undone(self) -> Result:
        """The same without the last correction.

        Raises:
            InvalidRequest: there is none.
        """
        if not self.edits:
            raise InvalidRequest("There is no correction to undo.", field="edit")
        before = replay(self.found, [[edit] for edit in self.edits[:-1]])
        now = correct(before, self.edits[-1:]).origins
        origins = [now.index(place) if place in now else None for place in range(len(before.instances))]
        return self._with(replace(before, timing_ms=self.prediction.timing_ms), self.edits[:-1], tuple(origins))

    def _with(self, prediction: Prediction, edits: tuple[Correction, ...], origins: tuple[int | None, ...]) -> Result:
        """The same with other instances; those that it has already are not scaled again."""
        height, width = self.screen.shape[:2]
        scaled = prediction
        if (height, width) != (prediction.height, prediction.width):
            known = dict(zip(map(id, self.prediction.instances), self.scaled.instances, strict=True))
            instances = tuple(
                known.get(id(each)) or scaled_instance(each, prediction, width, height) for each in prediction.instances
            )
            scaled = replace(self.scaled, instances=instances)
        labels = tuple(instance_labels(prediction))
        return replace(self, prediction=prediction, scaled=scaled, labels=labels, edits=edits, origins=origins)

    def with_probabilities(self, prediction: Prediction) -> Result:
        """The same with each pixel's probability.

        Args:
            prediction: what the same request finds with ``masks=probability``.

        Raises:
            RequestError: it has other objects, since another model was served when the result was made.
        """
        found = self.found.instances
        if [each.bbox for each in found] != [each.bbox for each in prediction.instances]:
            raise RequestError(
                "The model has changed since this result was made. Press Find again.", code="result_changed", status=409
            )
        known = tuple(
            replace(instance, probabilities=other.probabilities)
            for instance, other in zip(found, prediction.instances, strict=True)
        )
        whole = replace(self.found, instances=known)
        corrected = replay(whole, [[edit] for edit in self.edits])
        return replace(self, found=whole, prediction=replace(corrected, timing_ms=self.prediction.timing_ms))

    @property
    def nbytes(self) -> int:
        """About how much memory it takes, in bytes."""
        masks = sum(
            len(instance.segmentation["counts"])
            for prediction in (self.prediction, self.scaled, *([self.found] if self.edits else []))
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
