"""A training's state on disk, so that a killed one resumes where it was; and a small file that resumes it elsewhere."""

from __future__ import annotations

import os
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from pointrend.errors import CheckpointError
from pointrend.training.optimiser import MovingAverage
from pointrend.weights.checkpoint import check_fit, save_safetensors

STATE_NAME = "state.pt"
RESUME_NAME = "resume.safetensors"


@dataclass(slots=True)
class Progress:
    """How far a training is: steps done, and seconds of its budget used, over all its runs.

    ``began`` is the step at which its optimiser was new: 0, or where a resume file was taken up.
    """

    step: int = 0
    seconds: float = 0.0
    began: int = 0


def save_state(
    folder: Path, model: nn.Module, optimiser: torch.optim.Optimizer, average: MovingAverage, progress: Progress
) -> None:
    """Write everything that :func:`load_state` needs; a kill while writing leaves the state before intact.

    Raises:
        OSError: the disk is full or cannot be written.
    """
    unfinished = folder / f".{STATE_NAME}.{os.getpid()}"
    try:
        torch.save(
            {
                "model": model.state_dict(),
                "optimiser": optimiser.state_dict(),
                "average": average.state_dict(),
                "average_steps": average.steps,
                "step": progress.step,
                "seconds": progress.seconds,
                "began": progress.began,
            },
            unfinished,
        )
        unfinished.replace(folder / STATE_NAME)
        write_resume(folder / RESUME_NAME, average, progress)
    finally:
        unfinished.unlink(missing_ok=True)


def load_state(folder: Path, model: nn.Module, optimiser: torch.optim.Optimizer, average: MovingAverage) -> Progress:
    """Take up the state of a folder.

    Raises:
        CheckpointError: it is damaged, or belongs to another recipe.
    """
    path = folder / STATE_NAME
    try:
        tree: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        model.load_state_dict(tree["model"])
        optimiser.load_state_dict(tree["optimiser"])
        for name, tensor in average.state.items():
            tensor.copy_(tree["average"][name])
        average.steps = tree["average_steps"]
        return Progress(tree["step"], tree["seconds"], tree.get("began", 0))
    except (RuntimeError, KeyError, ValueError, EOFError, OSError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(
            f"{path} does not belong to this recipe, or is damaged ({reason:.200}). "
            f"Use another --out folder, or delete it to start over."
        ) from error


def write_resume(path: Path, average: MovingAverage, progress: Progress) -> None:
    """Write what another machine needs to go on: the averaged weights, in half precision, and how far the training is.

    The file holds tensors and plain values only, and is a checkpoint as any other. Raises OSError.
    """
    figures = {"step": progress.step, "seconds": progress.seconds, "average_steps": average.steps}
    state = {name: tensor.cpu() for name, tensor in average.state.items()}
    save_safetensors(state, path, half=True, metadata={name: str(value) for name, value in figures.items()})


def read_resume(path: Path, model: nn.Module, average: MovingAverage) -> Progress:
    """Take up a file of :func:`write_resume`: the averaged weights become the model's own, the optimiser starts anew.

    Raises:
        CheckpointError: it is no such file, is damaged, or belongs to another network.
    """
    try:
        with safe_open(path, "pt") as file:
            figures = file.metadata() or {}
            state = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
        step, seconds, averaged = int(figures["step"]), float(figures["seconds"]), int(figures["average_steps"])
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(f"{path} is not a training state, or is damaged: {error}.") from error
    check_fit(model, state)
    model.load_state_dict(state)
    for name, tensor in average.state.items():
        tensor.copy_(state[name])
    average.steps = averaged
    return Progress(step, seconds, began=step)
