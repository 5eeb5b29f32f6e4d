"""The training loop: a batch, its losses, a step; a log, a state on disk; until the budget is used up."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import torch
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from torch import Tensor

from pointrend.errors import TrainingError
from pointrend.modeling.instance_network import InstanceNetwork
from pointrend.system.spinning import follow_load
from pointrend.training.budget import Budget
from pointrend.training.config import TrainingConfig
from pointrend.training.log import Log
from pointrend.training.optimiser import MovingAverage, set_rate
from pointrend.training.sample import Sample
from pointrend.training.state import Progress, save_state

SAVE_EVERY = 45.0  # seconds: a kill loses less than a minute
LOG_EVERY = 10  # steps
PATIENCE = 20  # steps in a row whose loss is not finite


# Normalised images (N, 3, S, S) and their N samples to losses by name, whose sum is to become small.
Objective = Callable[[Tensor, Sequence[Sample]], dict[str, Tensor]]


class Trainer:
    """Takes steps and writes them down.

    Args:
        model: on its device; its weights are changed.
        objective: its losses of a batch.
        optimiser: of the model.
        average: of the model's weights.
        settings: the recipe.
        folder: receives the state.
        device: where the batches go.
        save_every: seconds between two states on disk: what a kill may cost.
    """

    def __init__(
        self,
        model: InstanceNetwork,
        objective: Objective,
        optimiser: torch.optim.Optimizer,
        average: MovingAverage,
        *,
        settings: TrainingConfig,
        folder: Path,
        device: torch.device,
        save_every: float = SAVE_EVERY,
    ) -> None:
        self.model = model
        self.objective = objective
        self.optimiser = optimiser
        self.average = average
        self.settings = settings
        self.folder = folder
        self.device = device
        channels = (1, 3, 1, 1)
        self._mean = torch.tensor(settings.model.pixel_mean, device=device).view(channels)
        self._std = torch.tensor(settings.model.pixel_std, device=device).view(channels)
        self._save_every = save_every
        self._unfit = 0

    def run(self, batches: Iterator[list[Sample]], progress: Progress, budget: Budget, log: Log) -> Progress:
        """Train until the budget is used up.

        Args:
            batches: endless.
            progress: where to begin.
            budget: of all runs together.
            log: receives the losses.

        Raises:
            TrainingError: the loss was not finite many times in a row.
            OSError: the state cannot be written.
        """
        speeds: deque[float] = deque(maxlen=20)
        recent: dict[str, float] = {}
        saved = time.monotonic()
        with _bar() as bar:
            task = bar.add_task("training", total=budget.amount, text="")
            while not budget.is_used_up(progress):
                began = time.monotonic()
                used = budget.used(progress) / budget.amount
                samples = next(batches)
                with follow_load():
                    figures = self.step(samples, progress.step - progress.began, used)
                took = time.monotonic() - began
                progress = replace(progress, step=progress.step + 1, seconds=progress.seconds + took)
                speeds.append(took)
                _blend(recent, figures)
                if progress.step % LOG_EVERY == 0:
                    speed = self.settings.batch * len(speeds) / sum(speeds)
                    log.add(progress.step, {**recent, "images_per_second": speed, "seconds": progress.seconds})
                    bar.update(
                        task,
                        completed=budget.used(progress),
                        text=f"step {progress.step}  loss {recent['loss_total']:.3f}  {speed:.1f} images/s",
                    )
                    if not bar.console.is_terminal and progress.step % 100 == 0:
                        bar.console.print(f"step {progress.step} at {progress.seconds:.0f} s: {_line(recent)}")
                if time.monotonic() - saved > self._save_every:
                    save_state(self.folder, self.model, self.optimiser, self.average, progress)
                    saved = time.monotonic()
        save_state(self.folder, self.model, self.optimiser, self.average, progress)
        return progress

    def step(self, samples: Sequence[Sample], step: int, progress: float) -> dict[str, float]:
        """One step of the optimiser; a batch whose loss is not finite is skipped.

        Returns:
            the losses and the learning rate.
        """
        rate = set_rate(self.optimiser, self.settings, step, progress)
        self.model.train()
        samples = [_to(item, self.device) for item in samples]
        with self._precision():
            parts = self.objective(self._normalised(samples), samples)
        total = torch.stack(list(parts.values())).sum()
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip)
        loss = total.item()
        if math.isfinite(loss) and math.isfinite(norm.item()):
            self._unfit = 0
            self.optimiser.step()
            self.average.update(self.model)
        else:
            self._unfit += 1
            if self._unfit >= PATIENCE:
                raise TrainingError(
                    f"The loss was not finite in {PATIENCE} steps in a row (step {step}). Lower the learning rate."
                )
        losses = {f"loss_{name}": value.item() for name, value in parts.items()}
        return {**losses, "loss_total": loss, "gradient_norm": norm.item(), "rate": rate}

    def _normalised(self, samples: Sequence[Sample]) -> Tensor:
        """A batch (N, 3, S, S) of crops in the network's order of colours, channels last in memory."""
        images = torch.stack([item.image for item in samples]).permute(0, 3, 1, 2).float()
        if self.settings.model.input_format == "BGR":
            images = images.flip(1)
        return ((images - self._mean) / self._std).contiguous(memory_format=torch.channels_last)

    def _precision(self) -> AbstractContextManager[object]:
        """bf16 for the dense layers on a GPU; on a CPU its backward pass through narrow layers is slower than f32's."""
        return torch.autocast("cuda", torch.bfloat16) if self.device.type == "cuda" else nullcontext()


def _to(item: Sample, device: torch.device) -> Sample:
    if device.type == "cpu":
        return item
    return Sample(
        image=item.image.to(device, non_blocking=True),
        boxes=item.boxes.to(device, non_blocking=True),
        classes=item.classes.to(device, non_blocking=True),
        masks=item.masks.to(device, non_blocking=True),
        neutral=item.neutral.to(device, non_blocking=True),
        labelled=item.labelled.to(device, non_blocking=True),
    )


def _blend(recent: dict[str, float], figures: dict[str, float]) -> None:
    """A short moving average of the figures; what is missing in a step (no object at all) keeps its value."""
    for name, value in figures.items():
        if math.isfinite(value):
            recent[name] = 0.9 * recent[name] + 0.1 * value if name in recent else value


def _line(figures: dict[str, float]) -> str:
    return "  ".join(f"{name.removeprefix('loss_')} {value:.3g}" for name, value in figures.items())


def _bar() -> Bar:
    return Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}"),
    )
