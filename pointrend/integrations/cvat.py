"""An auto-annotation function of CVAT's SDK and command line (https://docs.cvat.ai/docs/api_sdk/sdk/auto-annotation).

``cvat-cli task auto-annotate 7 --function-module pointrend.integrations.cvat`` calls :func:`create`.

Shapes: h, w of a mask's window in pixels.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Unpack

from pointrend.client import Client
from pointrend.errors import InvalidOption
from pointrend.exporters.instances import outlines, require_instances
from pointrend.integrations.source import Source, category_names, open_source, require_objects
from pointrend.masks.decode import window
from pointrend.structures.categories import category_index
from pointrend.structures.model_info import Category
from pointrend.structures.options import OptionKeywords, Options
from pointrend.structures.prediction import Instance, Prediction
from pointrend.system.extras import sentence

try:
    import cvat_sdk.auto_annotation as cvataa
    from cvat_sdk.masks import encode_mask
except ModuleNotFoundError as error:
    raise ImportError(f"pointrend.integrations.cvat needs {sentence('cvat_sdk')}") from error

if TYPE_CHECKING:
    from pointrend.inference.base import Segmenter  # with it comes PyTorch, which a client does without

SHAPES = ("mask", "polygon", "rectangle")
NOT_HERE = {
    "score_threshold": "give conf_threshold, as for every function of CVAT's",
    "categories": "give labels",
    "boxes": "CVAT has no boxes to give",
    "masks": "give shape",
    "points": "CVAT has no place for them",
}


class PointRendFunction:
    """Finds the objects of an image as CVAT's annotations; :func:`create` makes one.

    Attributes:
        spec: the labels that it declares, of type ``mask``, ``polygon`` or ``rectangle``. Where several categories go
            into one label, it is declared once.
    """

    def __init__(
        self,
        source: Source,
        *,
        shape: str = "mask",
        labels: str | Mapping[str, str] | None = None,
        conf_threshold: float = 0.5,
        **options: Unpack[OptionKeywords],
    ) -> None:
        require_objects(source, "CVAT")
        if shape not in SHAPES:
            raise InvalidOption(
                f"shape must be one of {', '.join(SHAPES)}, not {shape!r:.100}.",
                field="shape",
                limit=list(SHAPES),
                value=str(shape)[:100],
            )
        for name, instead in NOT_HERE.items():
            if name in options:
                raise InvalidOption(
                    f"{name} cannot be set here: {instead}.", field=name, code="unsupported_combination"
                )
        self._shape = shape
        self._source = source
        self._threshold = conf_threshold
        self._options = options
        if shape == "rectangle":
            self._options = {**options, "task": "detection"}
        if Options.parse({**self._options, "score_threshold": conf_threshold}).task == "semantic":
            raise InvalidOption("CVAT needs objects: task cannot be semantic.", field="task", value="semantic")
        chosen = label_mapping(labels, source.categories)
        # A label's id in the spec is that of its first category; CVAT puts the task's own in its place.
        first: dict[str, int] = {}
        for category, label in chosen.items():
            first.setdefault(label, category.id)
        self._label_ids = {category.id: first[label] for category, label in chosen.items()}
        if labels is not None:
            self._options = {**self._options, "categories": [category.id for category in chosen]}
        self.spec = cvataa.DetectionFunctionSpec(
            labels=[cvataa.label_spec(label, number, type=shape) for label, number in first.items()]
        )
        self._groups = itertools.count(1)  # unique in all images, since a task's groups are

    def detect(self, context: cvataa.DetectionFunctionContext, image: Any) -> list[Any]:
        """The objects of an image, best first.

        Args:
            context: CVAT's; ``conf_threshold`` takes precedence over the function's own, and with
                ``conv_mask_to_poly`` masks become polygons.
            image: a PIL image.

        Returns:
            ``LabeledShapeRequest`` each. A polygon has no parts in CVAT: those of one object are polygons of one group.

        Raises:
            RequestError: as :meth:`pointrend.client.Client.segment`.
        """
        threshold = self._threshold if context.conf_threshold is None else context.conf_threshold
        asked: OptionKeywords = {**self._options, "score_threshold": threshold}
        prediction = self._source(image, **asked)
        shape = "polygon" if self._shape == "mask" and context.conv_mask_to_poly else self._shape
        return [
            annotation
            for instance in require_instances(prediction, "CVAT")
            for annotation in self._annotations(instance, prediction, shape)
        ]

    def _annotations(self, instance: Instance, prediction: Prediction, shape: str) -> Iterator[Any]:
        """An object as shapes; none of one whose mask is empty."""
        assert instance.category_id is not None  # only boxes that somebody gave have no category
        label = self._label_ids[instance.category_id]
        if shape == "rectangle":
            x, y, width, height = instance.bbox
            yield cvataa.rectangle(label, [x, y, x + width, y + height])
        elif shape == "polygon":
            parts = outlines(instance, (prediction.height, prediction.width))
            group = {"group": next(self._groups)} if len(parts) > 1 else {}
            for part in parts:
                yield cvataa.polygon(label, part, **group)
        else:
            points = mask_points(instance, (prediction.height, prediction.width))
            if points:
                yield cvataa.mask(label, points)


def create(
    model: Segmenter[Any] | Client | str = "demo",
    *,
    token: str | None = None,
    shape: str = "mask",
    labels: str | Mapping[str, str] | None = None,
    conf_threshold: float = 0.5,
    **options: Unpack[OptionKeywords],
) -> PointRendFunction:
    """What ``cvat-cli`` calls with its ``--function-parameter``, and what the SDK's ``annotate_task`` takes.

    Args:
        model: a model's name or folder, the URL of a server, a loaded model or a :class:`~pointrend.client.Client`.
        token: of a server by URL; by default that of the variable ``POINTREND_TOKEN``.
        shape: ``mask``, ``polygon`` or ``rectangle``.
        labels: which categories become which labels of the task: ``{"person": "pedestrian"}`` or
            ``"person=pedestrian,cat"``; others are not looked for. By default every category, under its own name.
        conf_threshold: the lowest score, from 0 to 1, where CVAT asks for none.
        options: of every prediction; see :class:`~pointrend.structures.options.Options`.

    Raises:
        InvalidOption: a category that the model does not know, or an option that is out of range or that CVAT sets.
        ValueError: the model predicts a category for each pixel, not objects.
        ConfigError, CheckpointError: as :func:`pointrend.load`.
        RequestError: the server does not describe its model.

    Example::

        function = create("demo", labels={"person": "pedestrian"})
        cvat_sdk.auto_annotation.annotate_task(client, 7, function)
    """
    source = open_source(model, token=token)
    return PointRendFunction(source, shape=shape, labels=labels, conf_threshold=conf_threshold, **options)


def check_labels(function: PointRendFunction, task_labels: Iterable[Any], *, conv_mask_to_poly: bool = False) -> None:
    """See to it that a task can hold what a function gives, before an image is downloaded.

    CVAT's own check stops at the first label that does not fit; this one names all.

    Args:
        function: that will be run.
        task_labels: the task's: ``client.tasks.retrieve(7).get_labels()``.
        conv_mask_to_poly: as it will be run.

    Raises:
        InvalidOption: a label is missing in the task, or holds other shapes; with code ``unknown_category``, field
            ``labels``, and what the task has as ``limit``.
    """
    present = {each.name: str(each.type) for each in task_labels}
    missing, different = [], []
    for label in function.spec.labels:
        given = "polygon" if conv_mask_to_poly and label.type == "mask" else str(label.type)
        if label.name not in present:
            missing.append(label.name)
        elif present[label.name] not in ("any", given):
            different.append(f"{label.name} (of type {present[label.name]}, not {given})")
    if not missing and not different:
        return
    told = []
    if missing:
        told.append(f"The task has no label {_listed(missing)}.")
    if different:
        told.append(f"The task holds other shapes under {_listed(different)}.")
    raise InvalidOption(
        f"labels: {' '.join(told)} It has {_listed(present) or 'none'}. Give labels, such as "
        f"{{'{function.spec.labels[0].name}': '{next(iter(present), 'its label')}'}}, or add them to the task.",
        field="labels",
        limit=list(present),
        value=missing or different,
        code="unknown_category",
    )


def label_mapping(labels: str | Mapping[str, str] | None, categories: tuple[Category, ...]) -> dict[Category, str]:
    """Which categories become which labels.

    Args:
        labels: as :func:`create` takes them.
        categories: the model's.

    Raises:
        InvalidOption: a category that the model does not know, all such named, or a label without a name.
    """
    if labels is None:
        return {category: category.name for category in categories}
    pairs = dict(labels) if isinstance(labels, Mapping) else _parsed(labels)
    if not pairs:
        raise InvalidOption("labels names no category; leave it out for all.", field="labels", value="")
    chosen, unknown = {}, []
    for name, label in pairs.items():
        try:
            category = categories[category_index(categories, name, "labels")]
        except InvalidOption:
            unknown.append(name)
            continue
        if not label:
            raise InvalidOption(f"labels gives {name!r} no label.", field="labels", value=name)
        chosen[category] = label
    if len(unknown) == 1:
        category_index(categories, unknown[0], "labels")  # raises, with the nearest name
    if unknown:
        names = category_names(categories)
        raise InvalidOption(
            f"labels: This model knows no category {_listed(unknown)}. It knows {', '.join(names)}.",
            field="labels",
            limit=names,
            value=unknown,
            code="unknown_category",
        )
    return chosen


def mask_points(instance: Instance, size: tuple[int, int]) -> list[float]:
    """A mask as CVAT's ``points``: run lengths along the rows of its window, then the window's corners.

    Args:
        instance: with a mask.
        size: the image's (height, width).

    Returns:
        nothing for an empty mask.
    """
    assert instance.segmentation is not None  # only rectangles go without
    x, y, mask = window(instance.segmentation, size)
    if not mask.any():
        return []
    height, width = mask.shape
    *runs, left, top, right, bottom = encode_mask(mask, (0, 0, width, height))
    return [*runs, left + x, top + y, right + x, bottom + y]


def _parsed(text: str) -> dict[str, str]:
    """``person=pedestrian,cat`` as a mapping."""
    pairs = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, equals, label = (part.strip() for part in item.partition("="))
        pairs[name] = label if equals else name
    return pairs


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))
