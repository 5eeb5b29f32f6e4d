"""Measure engines beside each other: all loaded at once, and taking turns round by round.

So whatever else the machine does falls on all of them, and ratios hold where single times do not.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from rich.console import Console

from pointrend.bench.footprint import Footprint, footprint
from pointrend.bench.peak import best, peaks, trunk_operations
from pointrend.bench.stages import Cost, time_image
from pointrend.bench.subjects import open_model, picture
from pointrend.engines import DETECTRON2, EAGER, NAMES
from pointrend.errors import ConfigError
from pointrend.images.decode import decode
from pointrend.inference.instances import InstanceSegmenter
from pointrend.inference.loading import load
from pointrend.modeling.preprocess import resize, to_input
from pointrend.system.machine import processor
from pointrend.system.memory import MemoryLimit

# detectron2 is one piece, whose stages cannot be told apart.
ENGINES = tuple(name for name in NAMES if name != DETECTRON2)
SHAPE = 4, 3  # of an image: width to height


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchConfig:
    """What is measured.

    Attributes:
        models: names, folders, or ``random:NAME``; see :func:`pointrend.bench.subjects.open_model`.
        engines: of :data:`ENGINES`; one that does not run here is left out, and said.
        sides: images' shorter edges in pixels.
        counts: numbers of instances.
        rounds: how often each is measured.
        threads: of each engine.
    """

    models: tuple[str, ...]
    engines: tuple[str, ...]
    sides: tuple[int, ...]
    counts: tuple[int, ...]
    rounds: int
    threads: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """One model, engine and image size.

    Attributes:
        rounds: of each, the costs by stage.
        trunk_operations: of the trunk on this image.
        footprint: of a process with it; for each model's and engine's largest image only.
    """

    model: str
    engine: str
    side: int
    rounds: tuple[dict[str, Cost], ...]
    trunk_operations: int
    footprint: Footprint | None


@dataclass(frozen=True, slots=True)
class Results:
    """Everything, with the machine it was measured on.

    Attributes:
        machine: in words.
        peaks: operations a second of matrix products, by number format.
        left_out: why, by engine.
        measured: models, sizes and engines in the order of the settings.
    """

    settings: BenchConfig
    machine: str
    peaks: dict[str, float]
    left_out: dict[str, str]
    measured: tuple[Measurement, ...]


def run(settings: BenchConfig, console: Console) -> Results:
    """Measure all of it; what is being done stands on the console.

    Raises:
        ConfigError: there is no such model or engine, or the model finds no single objects.
    """
    for engine in settings.engines:
        if engine not in ENGINES:
            raise ConfigError(f"engines: {engine!r} cannot be measured by stages. Known: {', '.join(ENGINES)}.")
    torch.set_num_threads(settings.threads)
    MemoryLimit()  # as in every process of ours that predicts
    left_out: dict[str, str] = {}
    measured: list[Measurement] = []
    with tempfile.TemporaryDirectory() as scratch, console.status("Matrix products") as status:
        reached = peaks()
        for name in settings.models:
            status.update(f"{name}: loading")
            folder = open_model(name, Path(scratch)).path
            segmenters = _load(folder, settings, left_out)
            for side in settings.sides:
                status.update(f"{name}, {side} px: {settings.rounds} rounds")
                measured += _take_turns(name, segmenters, side, settings)
            largest = max(settings.sides)
            for index, each in enumerate(measured):
                if each.model == name and each.side == largest:
                    status.update(f"{name}, {each.engine}: memory")
                    taken = footprint(folder, each.engine, largest, settings.threads)
                    measured[index] = replace(each, footprint=taken)
        status.update("Matrix products, again")
        reached = best(reached, peaks())
    machine = f"{processor()}, {settings.threads} of {os.cpu_count()} cores, PyTorch {torch.__version__}"
    return Results(settings, machine, reached, left_out, tuple(measured))


def _load(folder: Path, settings: BenchConfig, left_out: dict[str, str]) -> dict[str, InstanceSegmenter]:
    segmenters = {}
    for engine in settings.engines:
        try:
            segmenter = load(folder, engine=engine)
        except ConfigError as error:
            left_out[engine] = str(error)
            continue
        if not isinstance(segmenter, InstanceSegmenter):
            raise ConfigError(f"{segmenter.info.name} is a semantic model; only instance models are measured.")
        segmenters[engine] = segmenter
    return segmenters


def _take_turns(
    name: str, segmenters: dict[str, InstanceSegmenter], side: int, settings: BenchConfig
) -> list[Measurement]:
    image = picture(side, side * SHAPE[0] // SHAPE[1])
    rounds: dict[str, list[dict[str, Cost]]] = {engine: [] for engine in segmenters}
    for turn in range(settings.rounds + 1):
        for engine, segmenter in segmenters.items():
            costs = time_image(segmenter, image, settings.counts)
            if turn:  # the first is for whatever is made at a new size
                rounds[engine].append(costs)
    operations = 0
    if EAGER in segmenters:
        model = segmenters[EAGER].model
        images, _ = to_input(resize(decode(image), model.config), model.config)
        operations = trunk_operations(model, images)
    return [
        Measurement(
            model=name, engine=engine, side=side, rounds=tuple(costs), trunk_operations=operations, footprint=None
        )
        for engine, costs in rounds.items()
    ]
