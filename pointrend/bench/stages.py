"""The stages of a prediction, timed one by one: seconds of the clock, and of all processor cores together.

Shapes: R regions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pointrend.bench.subjects import boxes, disc
from pointrend.images.decode import decode
from pointrend.inference.instances import InstanceSegmenter
from pointrend.inference.paste import paste_mask
from pointrend.masks.encode import encode_mask
from pointrend.modeling.instance_network import InstanceNetwork
from pointrend.modeling.one_stage.network import OneStage
from pointrend.modeling.preprocess import resize, to_input
from pointrend.modeling.rcnn import RCNN
from pointrend.modeling.roi_heads.box_head import select_detections
from pointrend.structures.options import FULL_REFINEMENT

MASKS = ("mask", "encode")  # by the number of instances; all other stages come once an image


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of the clock, and of all cores together."""

    wall: float
    cpu: float

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.wall + other.wall, self.cpu + other.cpu)


class Stopwatch:
    """Times stages; on a GPU each is waited for.

    Args:
        device: where the stages compute.
    """

    def __init__(self, device: str) -> None:
        self._settle: Callable[[], None] = torch.cuda.synchronize if device == "cuda" else lambda: None
        self.costs: dict[str, Cost] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what is done inside."""
        self._settle()
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self._settle()
        self.costs[name] = Cost(time.perf_counter() - wall, time.process_time() - cpu)


def time_image(segmenter: InstanceSegmenter, image: bytes, counts: Sequence[int]) -> dict[str, Cost]:
    """Do every stage of an image once.

    Args:
        segmenter: which computes them.
        image: a JPEG.
        counts: the numbers of instances whose masks are drawn; each is large enough for its mask's last refinement.

    Returns:
        by stage: ``decode``, ``resize``, ``trunk``, then ``proposals`` and ``box`` of an R-CNN or ``select`` of a
        one-stage model, whose trunk holds its detector and what masks are read from; and ``mask R`` and ``encode R``
        for every R of ``counts``.
    """
    model, watch = segmenter.model, Stopwatch(segmenter.device)
    with torch.inference_mode():
        with watch.stage("decode"):
            decoded = decode(image)
        with watch.stage("resize"):
            images, size = to_input(resize(decoded, model.config), model.config)
            images = images.to(segmenter.device)
        with watch.stage("trunk"):
            maps = model.trunk(images)
        features = _detect(model, maps, size, watch)
        for count in counts:
            regions = boxes(count, *size).to(segmenter.device)
            classes = torch.arange(count, device=segmenter.device) % model.config.num_classes
            with watch.stage(f"mask {count}"):
                masks = model.mask_logits(features, regions, classes, FULL_REFINEMENT).cpu()
            height, width = decoded.shape[:2]
            places = boxes(count, height, width)
            outline = disc(masks.shape[-1])
            with watch.stage(f"encode {count}"):
                for place in places:
                    x, y, crop = paste_mask(outline, place, height, width)
                    encode_mask("rle", crop, x, y, (height, width))
    return watch.costs


def _detect(model: InstanceNetwork, maps: Any, size: tuple[int, int], watch: Stopwatch) -> dict[str, Tensor]:
    """Time what finds the objects in a trunk's maps; return those maps that masks are read from."""
    features: dict[str, Tensor]
    if isinstance(model, OneStage):
        features, predictions = maps
        with watch.stage("select"):
            model.select(predictions, size)
        return features
    assert isinstance(model, RCNN)  # there is no third kind
    features, anchor_logits, anchor_offsets = maps
    with watch.stage("proposals"):
        proposals = model.proposal_generator.propose(anchor_logits, anchor_offsets, size).boxes
    with watch.stage("box"):
        logits, offsets = model.roi_heads(features, proposals)
        select_detections(logits, offsets, proposals, size, model.config.box_head)
    return features


def dense(stages: Iterable[str]) -> list[str]:
    """Those stages that come once an image, whatever is found in it."""
    return [stage for stage in stages if stage.split()[0] not in MASKS]


def total(costs: dict[str, Cost], count: int) -> Cost:
    """A whole image with so many instances."""
    stages = [*dense(costs), *(f"{stage} {count}" for stage in MASKS)]
    return sum((costs[stage] for stage in stages), start=Cost(0, 0))
