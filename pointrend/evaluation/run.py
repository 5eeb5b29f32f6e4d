"""``pointrend eval``: run a model over labelled images, judge what it found, and write it down."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from pointrend.datasets.ground_truth import GroundTruth
from pointrend.engines import DETECTRON2, EAGER, require, require_fit
from pointrend.errors import ConfigError, InvalidOption
from pointrend.evaluation.average_precision import DetectionMatches, Weights
from pointrend.evaluation.bootstrap import Resampled, difference, reliability, resamples
from pointrend.evaluation.contact_sheet import choose, contact_sheet
from pointrend.evaluation.evaluator import Evaluator
from pointrend.evaluation.figures import figures
from pointrend.evaluation.predictions import HeadPredictions, choose_heads, run
from pointrend.evaluation.report import (
    BOUNDARY,
    MASK,
    MEASURES,
    PERSON,
    Difference,
    ModelStamp,
    Report,
    SourceFigures,
    Speed,
)
from pointrend.evaluation.tables import tables, to_markdown
from pointrend.images.encode import encode_png
from pointrend.structures.prediction import Prediction
from pointrend.system.machine import processor
from pointrend.system.run_lock import locked
from pointrend.weights.folder import ModelFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalConfig:
    """What to judge, and how.

    Attributes:
        models: a model's name or folder; several for cross-validation: the first judges the first fold of as many, and
            so on.
        data: a folder with ``instances_SPLIT.json`` and ``images``.
        split: which part of the data.
        limit: so many images only, taken evenly from all; None takes all.
        heads: mask heads to judge; None takes all that the model has.
        out: a folder that receives the report; None writes nothing.
        resamples: of the bootstrap; 0 for no intervals.
        sheet: images on the contact sheet.
        engine: what computes the network.
    """

    models: tuple[str, ...]
    data: Path
    split: str = "val"
    limit: int | None = None
    heads: tuple[str, ...] | None = None
    out: Path | None = None
    resamples: int = 1000
    sheet: int = 20
    engine: str = EAGER

    def command(self) -> str:
        """The command line; folders by their last name, since a report is read on other machines."""
        words = ["pointrend", "eval"]
        for model in self.models:
            words += ["--model", Path(model).name]
        words += ["--data", self.data.resolve().name]
        if self.split != "val":
            words += ["--split", self.split]
        if self.limit is not None:
            words += ["--limit", str(self.limit)]
        if self.heads is not None:
            words += ["--heads", ",".join(self.heads)]
        if self.resamples != EvalConfig.__dataclass_fields__["resamples"].default:
            words += ["--bootstrap", str(self.resamples)]
        if self.engine != EAGER:
            words += ["--engine", self.engine]
        return shlex.join(words)


def evaluate(settings: EvalConfig, console: Console) -> Report:
    """Judge a model; tables go to the console, files to ``settings.out``.

    Raises:
        ConfigError, CheckpointError: the model or the engine cannot be used.
        DataError: the data cannot be read, or has no category in common with the model.
        InvalidOption: a setting is out of range, or the model lacks a head.
        OutputError: another run is going on in ``settings.out``, or it cannot be written.
    """
    with contextlib.nullcontext() if settings.out is None else locked(settings.out, "--out"):
        return _evaluate(settings, console)


def _evaluate(settings: EvalConfig, console: Console) -> Report:
    _check(settings)
    folders = [ModelFolder.open(model) for model in settings.models]
    folder = folders[0]
    require_fit(settings.engine, folder.network)
    for other in folders[1:]:
        if other.info.categories != folder.info.categories or other.config != folder.config:
            raise ConfigError(f"{other.path} has another network than {folder.path}: they cannot be judged together.")
    heads = choose_heads(settings.heads, folder.config)
    truth = GroundTruth.read(settings.data, settings.split, folder.info.categories).limited(settings.limit)
    if note := truth.findings.note():
        console.print(note, markup=False, highlight=False)
    images = track(truth.images, "Detecting", console=console, transient=True)
    answers = run(folders, images, heads, settings.engine)
    with console.status("Judging"):
        report = judge(truth, answers, settings, folders)
    for table in tables(report):
        console.print(table.to_rich())
    console.print(f"Mask AP50 below 20: {', '.join(report.often_missed) or 'no category'}", highlight=False)
    console.print(f"{report.speed.images_per_second:.2f} images per second", highlight=False)
    if settings.out is not None:
        _write(settings.out, report, truth, answers.by_head[report.head], settings.sheet)
        console.print(f"Written to {settings.out}", highlight=False)
    return report


def judge(truth: GroundTruth, answers: HeadPredictions, settings: EvalConfig, folders: Sequence[ModelFolder]) -> Report:
    """Judge what a model found.

    Args:
        truth: what there was to find.
        answers: of one head or more.
        settings: what was asked for.
        folders: the model, or one a fold.
    """
    judging = Evaluator(truth)
    # Every head has the same boxes.
    head, predictions = next(iter(answers.by_head.items()))
    boxes = judging.boxes(predictions)
    masks = {name: judging.masks(found) for name, found in answers.by_head.items()}
    by_measure = {name: {MASK: found.mask, BOUNDARY: found.boundary} for name, found in masks.items()}
    weights = resamples(len(truth.images), settings.resamples)
    drawn = {
        name: {measure: Resampled.of(matches, weights) for measure, matches in measures.items()}
        for name, measures in by_measure.items()
    }
    names = {category.id: category.name for category in truth.categories}
    sources = Counter(image.source for image in truth.images)
    return Report(
        command=settings.command(),
        model=ModelStamp(
            folders[0].info.name, folders[0].info.version, _sha256([folder.weights for folder in folders])
        ),
        split=settings.split,
        photos=len(truth.images),
        objects=sum(not item.crowd for item in truth.objects),
        sources=dict(sorted(sources.items())),
        speed=Speed(round(len(truth.images) / answers.seconds, 2), processor(), torch.get_num_threads()),
        boxes=_kind(boxes, truth),
        masks={name: {key: _kind(found, truth) for key, found in each.items()} for name, each in by_measure.items()},
        differences=tuple(_differences(drawn, truth)),
        reliability={names[item.category]: item for item in reliability(drawn[head][MASK])},
        resamples=settings.resamples,
    )


def _check(settings: EvalConfig) -> None:
    # Asked for before a model runs for minutes.
    require(settings.engine)
    if settings.engine == DETECTRON2:
        raise ConfigError(f"engine: {DETECTRON2} does not provide the mask heads that are evaluated.")
    for name, value, least in (("bootstrap", settings.resamples, 0), ("sheet", settings.sheet, 1)):
        if value < least:
            raise InvalidOption(f"{name} must be at least {least}, not {value}.", field=name, limit=least, value=value)


def _kind(matches: DetectionMatches, truth: GroundTruth) -> SourceFigures:
    everything: Weights = np.ones(len(truth.images), dtype=np.int64)
    by_source = {
        source: figures(matches, truth, np.array([image.source == source for image in truth.images], dtype=np.int64))
        for source in truth.sources()
    }
    return SourceFigures(figures(matches, truth, everything), by_source)


def _differences(drawn: Mapping[str, Mapping[str, Resampled]], truth: GroundTruth) -> list[Difference]:
    """Of the first head to each other one: by each measure, overall and of persons."""
    one, *others = drawn
    person = [category.id for category in truth.categories if category.name == PERSON]
    return [
        Difference(one, other, measure, over, difference(drawn[one][measure], drawn[other][measure], category))
        for other in others
        for measure in MEASURES
        for over, category in [("all", None), *((PERSON, number) for number in person)]
    ]


def _write(out: Path, report: Report, truth: GroundTruth, predictions: Mapping[int, Prediction], sheet: int) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.json").write_text(json.dumps(report.to_dict(), indent=1) + "\n", encoding="utf-8")
    (out / "report.md").write_text(to_markdown(report), encoding="utf-8")
    (out / "detections.json").write_text(json.dumps(_coco_results(predictions)), encoding="utf-8")
    picture = contact_sheet(choose(truth.images, sheet), predictions)
    (out / "contact_sheet.png").write_bytes(encode_png(picture))


def _coco_results(predictions: Mapping[int, Prediction]) -> list[dict[str, Any]]:
    """In COCO's result format; scores keep their digits, since rounding makes ties."""
    return [
        {
            "image_id": image,
            "category_id": instance.category_id,
            "bbox": [round(side, 2) for side in instance.bbox],
            "score": instance.score,
            "segmentation": instance.segmentation,
        }
        for image, prediction in predictions.items()
        for instance in prediction.instances
    ]


def _sha256(paths: Sequence[Path]) -> str:
    """Of the weights; of several models', all of them one after the other."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()
