"""What a run tells at its end, the same for ``pointrend predict`` and ``pointrend batch``: no image is left out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pointrend.plain_text import escaped
from pointrend.predict.walk import NotRead

MOST = 10
"""Names of a kind that are printed; all are in the file that is named below them."""


def listed(names: Sequence[str]) -> str:
    """The first :data:`MOST` of some names, separated by commas."""
    return ", ".join(names[:MOST]) + (", ..." if len(names) > MOST else "")


@dataclass(frozen=True, slots=True)
class Failed:
    """An image without a result.

    Attributes:
        path: what it is called.
        reason: a sentence.
    """

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Summary:
    """Each image that was found is done, done before or failed.

    Attributes:
        done: images that have their results now.
        before: images that had their results from earlier runs.
        failed: images that have none.
        not_read: files and folders that were met and are not among the images found.
        output: where the results are.
        full_list: the files with all names; None where they could not be written, so that all are printed.
        rate: images a second; None leaves it out.
    """

    done: int
    before: int
    failed: Sequence[Failed]
    not_read: Sequence[NotRead]
    output: str
    full_list: str | None
    rate: float | None = None

    @property
    def found(self) -> int:
        """Images that were meant."""
        return self.done + self.before + len(self.failed)

    @property
    def complete(self) -> bool:
        """Whether every image has its result, and nothing that may be one was missed."""
        return not self.failed and not any(each.missed for each in self.not_read)

    def headline(self) -> str:
        """The counts, on one line."""
        counts = (
            f"{self.found} found: {self.done} done, {self.before} done before, {len(self.failed)} failed; "
            f"{len(self.not_read)} not read"
        )
        rate = "" if self.rate is None else f" ({self.rate:.1f} images/s)"
        return f"{counts}{rate}. Results: {escaped(self.output)}"

    def names(self) -> Iterator[str]:
        """What failed and what was not read, by name, a line each."""
        yield from self._listed("Failed", [(each.path, each.reason) for each in self.failed])
        # What may be an image comes first, so that a folder full of text files does not hide it.
        ordered = sorted(self.not_read, key=lambda each: not each.missed)
        yield from self._listed("Not read", [(each.path, each.reason) for each in ordered])

    def _listed(self, title: str, rows: list[tuple[str, str]]) -> Iterator[str]:
        if not rows:
            return
        yield f"{title}:"
        shown = rows if self.full_list is None else rows[:MOST]
        for path, reason in shown:
            yield f"  {escaped(path)}: {escaped(reason)}"
        if len(shown) < len(rows):
            yield f"  ... and {len(rows) - len(shown)} more, in {escaped(self.full_list or '')}"

    def report(self) -> bytes:
        """The same names as JSON lines: ``{"path": ..., "status": "failed" or "not read", "reason": ...}``."""
        rows = [("failed", each.path, each.reason) for each in self.failed]
        rows += [("not read", each.path, each.reason) for each in self.not_read]
        return "".join(
            json.dumps({"path": path, "status": status, "reason": reason}) + "\n" for status, path, reason in rows
        ).encode()
