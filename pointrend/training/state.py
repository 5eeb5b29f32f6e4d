"""A training's state on disk, so that a killed one goes on where it was."""

from __future__ import annotations

import os
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pointrend.errors import CheckpointError
from pointrend.modeling.rcnn import RCNN
from pointrend.training.optimiser import MovingAverage

STATE_NAME = "state.pt"


@dataclass(slots=True)
class Progress:
    """How far a training is: steps done, and seconds of its budget used, over all its runs."""

    step: int = 0
    seconds: float = 0.0


def save_state(
    folder: Path, model: RCNN, optimiser: torch.optim.Optimizer, average: MovingAverage, progress: Progress
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
            },
            unfinished,
        )
        unfinished.replace(folder / STATE_NAME)
    finally:
        unfinished.unlink(missing_ok=True)


def load_state(folder: Path, model: RCNN, optimiser: torch.optim.Optimizer, average: MovingAverage) -> Progress:
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
        return Progress(tree["step"], tree["seconds"])
    except (RuntimeError, KeyError, ValueError, EOFError, OSError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(
            f"{path} does not belong to this recipe, or is damaged ({reason:.200}). "
            f"Take another --out folder, or delete it to begin anew."
        ) from error
