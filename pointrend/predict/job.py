"""What a run is asked to do, checked before anything is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pointrend.errors import PointRendError
from pointrend.masks.alpha import ALPHAS, SOFT, Alpha
from pointrend.predict.images import FoundImages
from pointrend.predict.saving import SAVERS
from pointrend.structures.options import Options


class JobError(PointRendError):
    """A job that cannot be done as it was put."""


@dataclass(frozen=True, slots=True)
class Job:
    """What to do.

    Attributes:
        found: what to predict.
        out: the folder of the results; what earlier runs left there is used.
        save: names of :data:`~pointrend.predict.saving.SAVERS`.
        options: of every prediction, with ``masks=probability`` where a format needs that.
        alpha: the edges of cut-outs, ``soft`` or ``hard``.

    Raises:
        JobError: a format is unknown, none is named, the task has no such format, or tiles have not what it needs;
            ``alpha`` is unknown, or hard without cut-outs to save.
    """

    found: FoundImages
    out: Path
    save: Sequence[str]
    options: Options
    alpha: Alpha = SOFT

    def __post_init__(self) -> None:
        if not self.save:
            raise JobError(f"--save names no format. Known: {', '.join(SAVERS)}.")
        for name in self.save:
            if name not in SAVERS:
                raise JobError(f"There is no format {name!r} to save. Known: {', '.join(SAVERS)}.")
            if self.options.task not in SAVERS[name].tasks:
                fitting = ", ".join(each for each, saver in SAVERS.items() if self.options.task in saver.tasks)
                raise JobError(f"{name} cannot hold the task {self.options.task}; {fitting} can.")
        if self.alpha not in ALPHAS:
            raise JobError(f"--alpha must be {' or '.join(ALPHAS)}, not {self.alpha!r}.")
        if self.alpha != SOFT and "cutouts" not in self.save:
            raise JobError(f"--alpha {self.alpha} is for --save cutouts; masks are always hard.")
        unsure = [name for name in self.save if SAVERS[name].probabilities]
        if unsure and self.options.tiles is not None:
            raise JobError(
                f"{unsure[0]} needs the masks' probabilities, which objects that are joined from tiles do not have: "
                f"leave out {unsure[0]} or tiles={self.options.tiles}."
            )
        if unsure:
            object.__setattr__(self, "options", replace(self.options, masks="probability"))
