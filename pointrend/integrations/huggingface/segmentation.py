"""The pipeline: images in, lists of score, label and mask out.

Shapes: H, W are the upright image's height and width in pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypedDict, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pointrend.client import Client
from pointrend.errors import InvalidOption
from pointrend.images.inputs import ImageInput
from pointrend.integrations.huggingface.inputs import check_image, is_image, several
from pointrend.integrations.huggingface.settings import BATCH_SIZE, MASK_THRESHOLD, THRESHOLD, Settings
from pointrend.integrations.source import ServedSource, Source, open_source
from pointrend.masks.probabilities import LEVELS
from pointrend.structures.prediction import Instance, Prediction
from pointrend.system.concurrency import in_order

if TYPE_CHECKING:
    from pointrend.inference.base import Segmenter  # with it comes PyTorch, which a client does without

TASK = "image-segmentation"


class SegmentDict(TypedDict):
    """One object, or all pixels of one category, as transformers describes it.

    Attributes:
        score: from 0 to 1; None for ``subtask="semantic"``.
        label: the category's name.
        mask: of mode ``L`` and the upright image's size: 255 where the object is, else 0.
    """

    score: float | None
    label: str
    mask: Image.Image


class ImageDataset(Protocol):
    """Such as a ``torch.utils.data.Dataset`` of images, or transformers' ``KeyDataset``."""

    def __len__(self) -> int:
        """How many images there are."""

    def __getitem__(self, index: int, /) -> Any:
        """An image, from 0."""


class ImageSegmentationPipeline:
    """Finds the objects of images; :func:`pipeline` makes one.

    Attributes:
        task: ``image-segmentation``.
    """

    task = TASK

    def __init__(self, source: Source, **settings: Any) -> None:
        self._source = source
        self._given = settings
        self._places = {category.id: place for place, category in enumerate(source.categories)}
        Settings(source, settings)  # so that what is wrong is said now, not with the first image

    # A text is an iterable of texts, too, but here it is a path; the first that fits counts.
    @overload
    def __call__(self, inputs: ImageInput, **settings: Any) -> list[SegmentDict]: ...

    @overload
    def __call__(self, inputs: list[Any] | tuple[Any, ...], **settings: Any) -> list[list[SegmentDict]]: ...

    @overload
    def __call__(self, inputs: Iterable[Any] | ImageDataset, **settings: Any) -> Iterator[list[SegmentDict]]: ...

    def __call__(self, inputs: Any, **settings: Any) -> Any:
        """Find the objects of an image, or of several.

        Args:
            inputs: an image: a path, a file's bytes, an HWC uint8 RGB array or a PIL image; or a list, an iterator or a
                data set of images. A text is the path of a local file; URLs are refused.
            settings: instead of those of :func:`pipeline`, for this call.

        Returns:
            for an image a list of :class:`SegmentDict`: objects best first, categories in the model's order. For a list
            a list of such lists; for an iterator or a data set an iterator of them, which reads images as needed.

        Raises:
            InvalidOption: as :func:`pipeline`.
            InvalidRequest: an image is a URL.
            TypeError: an image has none of those forms.
            OSError: a path cannot be read.
            RequestError: an image cannot be decoded, or the server refuses or fails.

        Example::

            for segments in pipe(Path("photos").glob("*.jpg")):
                print([each["label"] for each in segments])
        """
        asked = Settings(self._source, {**self._given, **settings})
        if is_image(inputs):
            return self._segments(check_image(inputs, "inputs"), asked)
        if isinstance(inputs, list | tuple):
            images = [check_image(image, f"inputs[{place}]") for place, image in enumerate(inputs)]
            return list(self._each(images, asked))
        return self._each((check_image(image, "An image of inputs") for image in several(inputs)), asked)

    def _each(self, images: Iterable[ImageInput], asked: Settings) -> Iterator[list[SegmentDict]]:
        def one(image: ImageInput) -> list[SegmentDict]:
            return self._segments(image, asked)

        if isinstance(self._source, ServedSource) and asked.batch_size > 1:
            return in_order(one, images, asked.batch_size)
        return map(one, images)  # in this process one image uses all threads

    def _segments(self, image: ImageInput, asked: Settings) -> list[SegmentDict]:
        found = self._source(image, **asked.options)
        size = found.height, found.width
        if found.task == "semantic":
            segments = sorted(found.segments, key=lambda each: self._places[each.category_id])
            return [{"score": None, "label": each.category, "mask": _picture(each.mask(size))} for each in segments]
        return [
            {"score": each.score, "label": each.name, "mask": _picture(_mask(each, found, asked.mask_threshold))}
            for each in found.instances
        ]


def pipeline(
    task: str = TASK,
    model: Segmenter[Any] | Client | str | Path = "demo",
    *,
    token: str | None = None,
    subtask: str | None = None,
    threshold: float = THRESHOLD,
    mask_threshold: float = MASK_THRESHOLD,
    batch_size: int = BATCH_SIZE,
    **options: Any,
) -> ImageSegmentationPipeline:
    """A model of this project, called as one that ``transformers.pipeline("image-segmentation")`` returns.

    Args:
        task: ``image-segmentation``, the only one.
        model: a model's name or folder, the URL of a server, a loaded model or a :class:`~pointrend.client.Client`.
        token: of a server by URL; by default that of the variable ``POINTREND_TOKEN``.
        subtask: ``instance`` or ``semantic``; by default the model's own.
        threshold: the lowest score of an object, from 0 to 1. That of transformers is 0.9 by default.
        mask_threshold: the lowest probability of a mask's pixels, from 0 to 1. Masks stay within their boxes.
        batch_size: how many images a server is asked for at a time; of an iterator twice as many are held.
        options: of every prediction; see :class:`~pointrend.structures.options.Options`.

    Raises:
        InvalidOption: one is unknown or out of range, the model cannot do it, or a pipeline has no place for it.
        ConfigError, CheckpointError: as :func:`pointrend.load`.
        RequestError: the server does not describe its model.

    Example::

        pipe = pipeline("image-segmentation", model="demo")
        for segment in pipe("photo.jpg", threshold=0.6):
            print(segment["label"], segment["score"], segment["mask"].getbbox())
    """
    if task != TASK:
        raise InvalidOption(
            f"task must be {TASK}, not {task!r:.100}. For a model of that name: pipeline(model={task!r:.100}).",
            field="task",
            limit=[TASK],
            value=str(task)[:100],
        )
    settings = {"subtask": subtask, "threshold": threshold, "mask_threshold": mask_threshold, "batch_size": batch_size}
    return ImageSegmentationPipeline(open_source(model, token=token), **settings, **options)


def _mask(instance: Instance, prediction: Prediction, threshold: float) -> NDArray[np.bool_]:
    """The (H, W) mask of the pixels whose probability is at least a threshold."""
    size = prediction.height, prediction.width
    if threshold == MASK_THRESHOLD or instance.probabilities is None:  # a box beyond the image has none
        return instance.mask(size)
    x, y, crop = instance.probability_crop()
    mask = np.zeros(size, dtype=np.bool_)
    # A value v stands for probabilities from v / 256 to (v + 1) / 256.
    mask[y : y + crop.shape[0], x : x + crop.shape[1]] = crop >= min(math.ceil(threshold * LEVELS), LEVELS - 1)
    return mask


def _picture(mask: NDArray[np.bool_]) -> Image.Image:
    return Image.fromarray(mask.astype(np.uint8) * 255)
