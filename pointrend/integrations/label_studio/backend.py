"""Tasks in, predictions out: what Label Studio asks of a backend, without HTTP."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointrend.errors import InvalidOption, InvalidRequest, RequestError
from pointrend.images.decode import decode
from pointrend.integrations.label_studio.labelling import RECTANGLE, TOOLS, Labelling, Tool, read_labelling
from pointrend.integrations.label_studio.photos import Photos
from pointrend.integrations.label_studio.regions import Region, drawn_label, to_box, to_regions
from pointrend.structures.boxes import BoxPrompt
from pointrend.structures.options import Options
from pointrend.structures.prediction import Prediction
from pointrend.system.concurrency import in_order

Segment = Callable[[NDArray[np.uint8], Options], Prediction]
"""(H, W, 3) uint8 RGB and options in, the objects out."""

MOST_TASKS = 100  # in one request; Label Studio sends fewer at a time
MOST_PROJECTS = 1000  # whose settings are remembered
SHAPES = {"polygon": "polygonlabels", "brush": "brushlabels", "rectangle": "rectanglelabels"}
NOT_HERE = ("boxes", "format", "points", "alpha", "masks", "task")
"""Options that follow from what is drawn."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Of one project.

    Attributes:
        options: of every prediction.
        kind: of the tool that draws; None for the first that the labelling configuration has.
    """

    options: Options
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A task that has no prediction, and why."""

    task: Any
    error: RequestError


class Backend:
    """A model as Label Studio sees it.

    Args:
        segment: predicts one photo.
        model: its name, version and engine.
        categories: names of all its categories.
        photos: fetches the tasks' photos.
        options: of projects that set none.
        concurrency: photos that are predicted at a time.
    """

    def __init__(
        self,
        segment: Segment,
        model: Mapping[str, str],
        categories: Sequence[str],
        photos: Photos,
        options: Options | None = None,
        concurrency: int = 1,
    ) -> None:
        self._segment_one = segment
        self._free = threading.Semaphore(concurrency)
        self.version = f"{model['name']} {model['version']}"
        self._categories = tuple(categories)
        self._photos = photos
        self._default = Settings(options or Options())
        self._concurrency = concurrency
        self._projects: OrderedDict[str, Settings] = OrderedDict()
        self._lock = threading.Lock()

    def set_up(self, project: str, labelling: str, parameters: object) -> None:
        """Check a project's labelling configuration, and take its settings.

        Args:
            project: its id.
            labelling: the configuration's XML.
            parameters: the backend's extra parameters: a JSON object, or its text, of options by name and ``shape``;
                empty or None for the defaults.

        Raises:
            InvalidRequest: the configuration cannot be labelled in, or the parameters are no object.
            InvalidOption: an option is unknown or out of range.
        """
        settings = self._read_settings(parameters)
        found = read_labelling(labelling, self._categories)
        found.tool(settings.kind)
        with self._lock:
            self._projects[project] = settings
            self._projects.move_to_end(project)
            while len(self._projects) > MOST_PROJECTS:
                self._projects.popitem(last=False)

    def predict(
        self, project: str, labelling: str, tasks: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, Any] | Failure]:
        """Label photos before anybody has.

        Args:
            project: its id.
            labelling: the configuration's XML.
            tasks: each with its ``data``.

        Returns:
            for each task, in order, Label Studio's prediction, or why there is none.

        Raises:
            InvalidRequest: the configuration cannot be labelled in, or there are too many tasks.
        """
        if len(tasks) > MOST_TASKS:
            raise InvalidRequest(
                f"{len(tasks)} tasks were sent; at most {MOST_TASKS} at a time.",
                field="tasks",
                limit=MOST_TASKS,
                value=len(tasks),
            )
        settings = self._settings(project)
        found = read_labelling(labelling, self._categories)
        tool = found.tool(settings.kind)

        def one(task: Mapping[str, Any]) -> dict[str, Any] | Failure:
            try:
                prediction = self._segment(self._photo(task, found), _options(settings, tool))
                return self._answer(prediction, to_regions(prediction, tool))
            except RequestError as error:
                return Failure(task.get("id"), error)

        return list(in_order(one, tasks, self._concurrency))

    def predict_drawn(
        self, project: str, labelling: str, task: Mapping[str, Any], context: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The mask of what is inside a region that an annotator drew.

        Args:
            project: its id.
            labelling: the configuration's XML.
            task: with its ``data``.
            context: Label Studio's, whose ``result`` has what was drawn, the last one last.

        Returns:
            Label Studio's prediction.

        Raises:
            RequestError: the photo cannot be read, or nothing was drawn that has an inside.
        """
        settings = self._settings(project)
        found = read_labelling(labelling, self._categories)
        tool = _masked(found, settings)
        drawn = context.get("result")
        if not isinstance(drawn, list) or not drawn:
            raise InvalidRequest("Nothing was drawn: draw a rectangle around an object.", field="context")
        region = drawn[-1]
        x, y, width, height = to_box(region)
        label = drawn_label(region)
        image = self._photo(task, found)
        across, down = image.shape[1] / 100, image.shape[0] / 100
        category = None if label is None else tool.category(label)
        box = BoxPrompt(x * across, y * down, width * across, height * down, category)
        prediction = self._segment(image, _of_box(settings.options, box))
        named = label if label in tool.labels.values() or label in tool.others else None
        return self._answer(prediction, to_regions(prediction, tool, named))

    def _segment(self, image: NDArray[np.uint8], options: Options) -> Prediction:
        with self._free:
            return self._segment_one(image, options)

    def _answer(self, prediction: Prediction, regions: list[Region]) -> dict[str, Any]:
        scores = [each.score for each in prediction.instances]
        score = sum(scores) / len(scores) if scores else 0.0
        return {"model_version": self.version, "score": round(score, 4), "result": regions}

    def _photo(self, task: Mapping[str, Any], labelling: Labelling) -> NDArray[np.uint8]:
        data = task.get("data")
        return decode(self._photos.fetch(data.get(labelling.key) if isinstance(data, Mapping) else None))

    def _settings(self, project: str) -> Settings:
        with self._lock:
            return self._projects.get(project, self._default)

    def _read_settings(self, parameters: object) -> Settings:
        if isinstance(parameters, str) and parameters.strip():
            try:
                parameters = json.loads(parameters)
            except ValueError as error:
                raise InvalidRequest(f"The extra parameters are not JSON: {error}.", field="extra_params") from error
        if not parameters:
            return self._default
        if not isinstance(parameters, dict):
            raise InvalidRequest(
                'The extra parameters are not a JSON object such as {"score_threshold": 0.3}.', field="extra_params"
            )
        given = dict(parameters)
        shape = given.pop("shape", None)
        if shape is not None and shape not in SHAPES:
            raise InvalidOption(
                f"shape must be {', '.join(SHAPES)}, not {shape!r:.40}.",
                field="shape",
                limit=list(SHAPES),
                value=str(shape)[:40],
            )
        for name in NOT_HERE:
            if name in given:
                raise InvalidOption(f"{name} follows from what is drawn: leave it out.", field=name)
        return Settings(Options.parse(given) if given else self._default.options, SHAPES.get(shape or ""))


def _options(settings: Settings, tool: Tool) -> Options:
    """What is asked of the model for what a tool draws: the categories that it has labels for."""
    categories = settings.options.categories or tuple(tool.labels)
    if tool.kind == RECTANGLE:
        return replace(settings.options, task="detection", categories=categories)
    return replace(settings.options, categories=categories)


def _of_box(options: Options, box: BoxPrompt) -> Options:
    """What is asked of the model for one box: without what chooses among detections."""
    return Options(
        boxes=(box,),
        refinement=options.refinement,
        exact=options.exact,
        mask_head=options.mask_head,
        zoom=options.zoom,
    )


def _masked(labelling: Labelling, settings: Settings) -> Tool:
    """The tool that draws the mask of what is inside a rectangle."""
    if settings.kind not in (None, RECTANGLE):
        return labelling.tool(settings.kind)
    for tool in labelling.tools:
        if tool.kind != RECTANGLE:
            return tool
    masks = " or ".join(tag for tag, kind in TOOLS.items() if kind != RECTANGLE)
    raise InvalidRequest(f"The labelling configuration has no {masks} for a mask; add one.", field="label_config")
