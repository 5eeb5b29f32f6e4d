"""Running a model over images: what it finds is found once, and each mask head draws it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pointrend.config.schema import InstanceConfig
from pointrend.datasets.coco import DatasetImage
from pointrend.datasets.folds import fold_of
from pointrend.datasets.image_file import read_pixels
from pointrend.engines import EAGER
from pointrend.engines.network import device_of, open_network
from pointrend.errors import DataError, InvalidOption
from pointrend.inference.instances import InstanceSegmenter
from pointrend.modeling.instance_network import InstanceNetwork
from pointrend.modeling.roi_heads.box_head import Detections
from pointrend.structures.categories import ALL_CATEGORIES
from pointrend.structures.options import FULL_REFINEMENT, Options
from pointrend.structures.prediction import Prediction
from pointrend.system.memory import MemoryLimit
from pointrend.weights.folder import ModelFolder

REFINED, COARSE, CONV = "refined", "coarse", "conv"
HEADS = (REFINED, COARSE, CONV)


@dataclass(frozen=True, slots=True)
class HeadPredictions:
    """What a model found in a set of images.

    Attributes:
        by_head: predictions by image id, of each mask head. All have the same boxes, scores and categories.
        seconds: what decoding, detection and the first head's masks took, for all images together.
    """

    by_head: Mapping[str, Mapping[int, Prediction]]
    seconds: float


class CachingSegmenter(InstanceSegmenter):
    """A segmenter with a memory of what it found last: the next mask head draws the same boxes at no more cost."""

    _last: tuple[Tensor, tuple[dict[str, Tensor], Detections]] | None = None

    def _detect(self, images: Tensor, image_size: tuple[int, int]) -> tuple[dict[str, Tensor], Detections]:
        if self._last is None or not torch.equal(self._last[0], images):
            self._last = images, super()._detect(images, image_size)
        return self._last[1]


def choose_heads(wanted: Sequence[str] | None, config: InstanceConfig) -> tuple[str, ...]:
    """The mask heads to judge, in the order of :data:`HEADS`.

    Args:
        wanted: names; None takes all that the model has.
        config: of the model.

    Raises:
        InvalidOption: a head is unknown, or the model does not have it.
    """
    present = tuple(head for head in HEADS if (config.conv_mask if head == CONV else config.point_head) is not None)
    for head in wanted or ():
        if head not in HEADS:
            problem = f"heads names {head!r}, which is not one of {', '.join(HEADS)}."
        elif head not in present:
            problem = f"heads names {head!r}, which this model does not have; it has {', '.join(present)}."
        else:
            continue
        raise InvalidOption(problem, field="heads", limit=list(present), value=head)
    return tuple(head for head in present if wanted is None or head in wanted)


def run(
    folders: Sequence[ModelFolder], images: Iterable[DatasetImage], heads: Sequence[str], engine: str = EAGER
) -> HeadPredictions:
    """Run a model over images, as AP asks for: everything that it reports, at most 100 an image.

    Args:
        folders: the model; or, for cross-validation, one a fold, which sees that fold's images only.
        images: read one at a time; wrap them to show progress.
        heads: at least one of :func:`choose_heads`.
        engine: what computes the networks: one of :data:`pointrend.engines.NAMES` but detectron2.

    Raises:
        DataError: an image cannot be read, or has another size than its label says.
        CheckpointError: the weights cannot be read or do not fit.
        ConfigError: the engine is unknown, not installed, or has no such network.
    """
    segmenters = [_segmenter(folder, engine) for folder in folders]
    memory = MemoryLimit()
    options = {head: _options(head, folders[0].config) for head in heads}
    by_head: dict[str, dict[int, Prediction]] = {head: {} for head in heads}
    seconds = 0.0
    for image in images:
        started = time.perf_counter()
        pixels = _decode(image)
        segmenter = segmenters[fold_of(image.path.name, len(segmenters))]
        for index, head in enumerate(heads):
            by_head[head][image.id] = segmenter(pixels, options[head])
            if index == 0:
                seconds += time.perf_counter() - started
        memory.settle()
    return HeadPredictions(by_head, seconds)


def _segmenter(folder: ModelFolder, engine: str) -> InstanceSegmenter:
    network = open_network(folder, engine)
    assert isinstance(network, InstanceNetwork)  # its folder's ``config`` has been asked for
    return CachingSegmenter(network, folder.info, engine=engine, device=device_of(engine))


def _options(head: str, config: InstanceConfig) -> Options:
    """What to ask for to get a head's masks: of every category, and with no step left out."""
    beside = head == CONV and config.point_head is not None  # a Mask R-CNN's only head goes by no name
    return Options(
        score_threshold=0.0,
        max_detections=100,
        categories=(ALL_CATEGORIES,),
        refinement=0 if head == COARSE else FULL_REFINEMENT,
        exact=True,
        mask_head="conv" if beside else "point",
    )


def _decode(image: DatasetImage) -> NDArray[np.uint8]:
    pixels = read_pixels(image.path)
    height, width = pixels.shape[:2]
    if (width, height) != (image.width, image.height):
        raise DataError(
            f"The image {image.path} is {width}x{height} once upright, but labelled as {image.width}x{image.height}."
        )
    return pixels
