"""A call's settings, as transformers' pipelines name them, and the options that they become."""

from __future__ import annotations

from typing import Any

from pointrend.errors import InvalidOption
from pointrend.integrations.source import Source
from pointrend.structures.options import Options

TASKS = {"instance": "instances", "semantic": "semantic"}
"""What transformers calls subtasks, and the option ``task`` for each; the first that a model can is the default."""

NOT_HERE = {
    "task": "give subtask",
    "score_threshold": "give threshold",
    "masks": "every object has its mask; give mask_threshold for smaller or larger ones",
    "points": "a segment has no place for them",
    "boxes": "a pipeline takes images only; use Client.segment(image, boxes=...)",
    "alpha": "masks are 0 or 255",
    "format": "the result is a list",
    "overlap_mask_area_threshold": "masks of different objects may overlap, and no object is left out for it",
    "device": "the model's engine decides; give model=pointrend.load(..., engine=...)",
    "num_workers": "give batch_size, the number of images that a server is asked for at a time",
    "timeout": "no URL is opened; give model=Client(url, timeout=...) for the time that a server may take",
}
"""What a pipeline has no place for, and what to do instead."""

BATCH_SIZE = 4  # requests at a time, as of Client.segment_many
THRESHOLD = 0.5
MASK_THRESHOLD = 0.5  # of masks as the model draws them


class Settings:
    """The checked settings of a call.

    Args:
        source: the model.
        given: settings of the pipeline and of its call, by name.

    Attributes:
        options: of the prediction, ``task`` always among them.
        mask_threshold: the lowest probability of a mask's pixels; where it is not 0.5, ``options`` asks for them.
        batch_size: images that a server is asked for at a time.

    Raises:
        InvalidOption: one is unknown or out of range, the model cannot do it, or a pipeline has no place for it.
    """

    def __init__(self, source: Source, given: dict[str, Any]) -> None:
        options = dict(given)
        for name, instead in NOT_HERE.items():
            if name in options:
                raise InvalidOption(
                    f"{name} cannot be set here: {instead}.", field=name, code="unsupported_combination"
                )
        subtask = options.pop("subtask", None)
        options["score_threshold"] = _number("threshold", options.pop("threshold", THRESHOLD))
        self.mask_threshold = _number("mask_threshold", options.pop("mask_threshold", MASK_THRESHOLD))
        self.batch_size = _checked_batch_size(options.pop("batch_size", BATCH_SIZE))
        options["task"] = _task(subtask, source)
        if self.mask_threshold != MASK_THRESHOLD:
            self._check_probabilities(options)
            options["masks"] = "probability"
        Options.parse(options)
        self.options = options

    def _check_probabilities(self, options: dict[str, Any]) -> None:
        without = {"subtask=semantic": options["task"] == "semantic", "tiles": options.get("tiles") is not None}
        for name, asked in without.items():
            if asked:
                raise InvalidOption(
                    f"mask_threshold={self.mask_threshold} does not go together with {name}, whose masks have no "
                    f"probabilities; leave one of the two out.",
                    field="mask_threshold",
                    limit=MASK_THRESHOLD,
                    value=self.mask_threshold,
                    code="unsupported_combination",
                )


def _task(subtask: Any, source: Source) -> str:
    """The option ``task``."""
    able = [name for name, task in TASKS.items() if task in source.tasks]
    if subtask is None:
        return TASKS[able[0]]
    if subtask in able:
        return TASKS[subtask]
    why = "no model here labels objects and background at once; " if subtask == "panoptic" else ""
    raise InvalidOption(
        f"subtask cannot be {subtask!r:.100}: {why}this model can do {' and '.join(able)}.",
        field="subtask",
        limit=able,
        value=str(subtask)[:100],
        code="unsupported_combination",
    )


def _number(name: str, value: Any) -> float:
    """A threshold from 0 to 1."""
    # A comparison with NaN is false.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InvalidOption(
            f"{name} must be a number from 0 to 1, not {value!r:.100}.",
            field=name,
            limit=[0, 1],
            value=str(value)[:100],
        )
    return float(value)


def _checked_batch_size(size: Any) -> int:
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise InvalidOption(
            f"batch_size must be a whole number of at least 1, not {size!r:.100}.",
            field="batch_size",
            limit=1,
            value=str(size)[:100],
        )
    return size
