"""Everything that an evaluation found, as one value that is written as JSON, as Markdown and on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pointrend.evaluation.bootstrap import Interval, Reliability
from pointrend.evaluation.figures import FigureSet

BOX = "box"
MASK, BOUNDARY = "mask", "boundary"
MEASURES = (MASK, BOUNDARY)
PERSON = "person"


@dataclass(frozen=True, slots=True)
class ModelStamp:
    """Which model was judged: its name and version, and the SHA-256 of its weights in hexadecimal."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Speed:
    """How long it took, from the file to the first head's encoded masks.

    Attributes:
        images_per_second: one photo after the other.
        processor: as the system names it.
        threads: that the network used.
    """

    images_per_second: float
    processor: str
    threads: int


@dataclass(frozen=True, slots=True)
class SourceFigures:
    """Figures of boxes, or of one head's masks by one measure.

    Attributes:
        everything: over all photos.
        by_source: over the photos of each source.
    """

    everything: FigureSet
    by_source: Mapping[str, FigureSet]


@dataclass(frozen=True, slots=True)
class Difference:
    """How much AP the first head's masks have more than another's.

    Attributes:
        one, other: heads.
        measure: ``mask`` or ``boundary``.
        over: ``all`` categories or the name of one.
        ap: in percentage points.
    """

    one: str
    other: str
    measure: str
    over: str
    ap: Interval


@dataclass(frozen=True, slots=True)
class Report:
    """What an evaluation found.

    Attributes:
        command: how to run it again.
        model: which was judged.
        split: which part of the data.
        photos, objects: how many were judged on; a crowd region is no object.
        sources: photos of each source.
        speed: of detection with the first head.
        boxes: figures of the boxes.
        masks: of each head, first the one that the others are compared with, by measure.
        differences: between heads, where there is more than one.
        reliability: of each category that has an object, by name, judged by the first head's masks.
        resamples: that the intervals come from.
    """

    command: str
    model: ModelStamp
    split: str
    photos: int
    objects: int
    sources: Mapping[str, int]
    speed: Speed
    boxes: SourceFigures
    masks: Mapping[str, Mapping[str, SourceFigures]]
    differences: tuple[Difference, ...]
    reliability: Mapping[str, Reliability]
    resamples: int

    @property
    def head(self) -> str:
        """The first head: what the model serves by default."""
        return next(iter(self.masks))

    @property
    def reliable(self) -> tuple[str, ...]:
        """Names of the categories whose mask AP50 is at least 20."""
        return tuple(name for name, judged in self.reliability.items() if judged.reliable)

    @property
    def often_missed(self) -> tuple[str, ...]:
        """Names of the categories whose mask AP50 is below 20."""
        return tuple(name for name, judged in self.reliability.items() if not judged.reliable)

    def to_dict(self) -> dict[str, Any]:
        """The report for JSON: its attributes by name, ``reliable`` and ``often_missed``.

        AP is in percent, null where there is none.
        """
        return {**asdict(self), "reliable": list(self.reliable), "often_missed": list(self.often_missed)}
