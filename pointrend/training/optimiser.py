"""AdamW (arXiv:1711.05101), its schedule over a budget of time, and the weights' moving average."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from pointrend.errors import ConfigError
from pointrend.modeling.instance_network import InstanceNetwork
from pointrend.modeling.rcnn import RCNN
from pointrend.training.config import TrainingConfig

PRETRAINED = ("backbone.bottom_up.", "detector.")  # beginnings of the names of what learns more slowly


def freeze(model: InstanceNetwork, parts: Iterable[str]) -> None:
    """Keep the weights of some parts as they are: of the trunk's, or a one-stage model's ``detector``.

    Raises:
        ConfigError: the model has no such part.
    """
    for part in parts:
        name = f"backbone.bottom_up.{part}" if isinstance(model, RCNN) else part
        if name not in dict(model.named_modules()):
            raise ConfigError(f"frozen names {part!r}, which this model does not have.")
        model.get_submodule(name).requires_grad_(False)


def build_optimiser(model: InstanceNetwork, settings: TrainingConfig) -> torch.optim.AdamW:
    """Groups with their own rate (the trunk's or detector's is lower) and decay (only matrices and kernels decay)."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((name.startswith(PRETRAINED), parameter.dim() > 1), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "scale": settings.trunk_rate if trunk else 1.0,
                "weight_decay": settings.weight_decay if decays else 0.0,
            }
            for (trunk, decays), parameters in groups.items()
        ],
        lr=settings.rate,
    )


def set_rate(optimiser: torch.optim.Optimizer, settings: TrainingConfig, step: int, progress: float) -> float:
    """Warm up over the first steps, then, by the cosine schedule, fall to nothing when the budget is used up.

    Args:
        optimiser: whose groups receive their rates.
        settings: the peak and the length of the warm-up.
        step: how many steps were done since the optimiser was new.
        progress: the used part of the budget, in [0, 1].

    Returns:
        the rate of the heads.
    """
    warm = min(1.0, (step + 1) / settings.warmup) if settings.warmup else 1.0
    fallen = 0.5 * (1 + math.cos(math.pi * min(max(progress, 0.0), 1.0))) if settings.schedule == "cosine" else 1.0
    rate = settings.rate * warm * fallen
    for group in optimiser.param_groups:
        group["lr"] = rate * group["scale"]
    return rate


class MovingAverage:
    """An exponential average of a model's weights; buffers (norm statistics) are taken as they are.

    Early on it looks back less far, so that random weights are soon forgotten.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self.state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take in the weights after a step."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        learnt = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        averages, news = [], []
        for name, tensor in model.state_dict().items():
            if name in learnt:
                averages.append(self.state[name])
                news.append(tensor)
            else:
                self.state[name].copy_(tensor)
        torch._foreach_lerp_(averages, news, 1 - decay)

    def state_dict(self) -> dict[str, Tensor]:
        """The averaged weights under the model's names."""
        return self.state
