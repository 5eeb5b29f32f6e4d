"""A report's tables, for people: the same ones on the terminal and in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import rich.box
import rich.table

from pointrend.evaluation.bootstrap import CONFIDENCE, RELIABLE_AP50, Interval
from pointrend.evaluation.figures import Figures
from pointrend.evaluation.report import BOUNDARY, MASK, PERSON, Report


@dataclass(frozen=True, slots=True)
class Table:
    """A titled table of text; all columns but the first hold numbers."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def to_markdown(self) -> str:
        """A heading and a Markdown table."""
        rule = ("---", *["---:"] * (len(self.header) - 1))
        lines = [f"| {' | '.join(row)} |" for row in (self.header, rule, *self.rows)]
        return "\n".join([f"### {self.title}", "", *lines, ""])

    def to_rich(self) -> rich.table.Table:
        """The table for a terminal."""
        table = rich.table.Table(title=self.title, title_justify="left", box=rich.box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
        for index, name in enumerate(self.header):
            # Headings of numbers may take two lines, so that everything fits into 80 characters.
            table.add_column(name, justify="right" if index else "left", no_wrap=index == 0)
        for row in self.rows:
            table.add_row(*row)
        return table


def tables(report: Report) -> Iterator[Table]:
    """The report's tables, the most telling one first."""
    yield _overall(report)
    if report.differences:
        yield _differences(report)
    yield _by_category(report)
    if len(report.sources) > 1:
        yield _by_source(report)


def to_markdown(report: Report) -> str:
    """The report for a model card: what was judged and how, and the tables."""
    model, speed = report.model, report.speed
    lines = [
        f"Model {model.name} {model.version}, weights `{model.sha256[:16]}`. {report.photos} photos of the split "
        f"{report.split} with {report.objects} objects. {speed.images_per_second:.2f} images per second on "
        f"{speed.processor} with {speed.threads} threads.",
        "",
        "```",
        report.command,
        "```",
        "",
        "AP is COCO's, in percent; a category is judged only in photos whose source labels it, and the mean is over "
        "categories that have an object there. Boundary AP is AP by the smaller one of mask IoU and Boundary IoU "
        f"(arXiv:2103.16562). Intervals hold {CONFIDENCE} % of {report.resamples} bootstrap resamples of the photos.",
        "",
        f"Mask AP50 below {RELIABLE_AP50:g}: {', '.join(report.often_missed) or 'no category'}.",
        "",
    ]
    return "\n".join([*lines, *(table.to_markdown() for table in tables(report))])


def _overall(report: Report) -> Table:
    kinds = [("boxes", report.boxes)]
    kinds += [(f"{head} {measure}", kind) for head, by in report.masks.items() for measure, kind in by.items()]
    rows = []
    for name, kind in kinds:
        of = kind.everything.overall
        shares = (of.ap, of.ap50, of.ap75, of.small, of.medium, of.large, of.recall)
        rows.append((name, *map(share, shares)))
    header = ("all categories", "AP", "AP50", "AP75", "small", "medium", "large", "AR@100")
    return Table(f"{report.photos} photos, {report.objects} objects", header, tuple(rows))


def _differences(report: Report) -> Table:
    rows = tuple(
        (f"{item.one} - {item.other}", f"{item.measure} AP", item.over, *_signed(item.ap))
        for item in report.differences
    )
    return Table("Differences between mask heads", ("heads", "of", "over", "AP", f"{CONFIDENCE} %"), rows)


def _by_category(report: Report) -> Table:
    masks = report.masks[report.head]
    rows = []
    for name, box in report.boxes.everything.by_category.items():
        if box.objects:
            parts = (box, masks[MASK].everything.by_category[name], masks[BOUNDARY].everything.by_category[name])
            rows.append((name, *_row(*parts), _bounds(report.reliability[name].ap50)))
    return Table("By category", ("category", *_COLUMNS, f"AP50 {CONFIDENCE} %"), tuple(rows))


def _by_source(report: Report) -> Table:
    masks = report.masks[report.head]
    rows = []
    for source, boxes in report.boxes.by_source.items():
        sets = (boxes, masks[MASK].by_source[source], masks[BOUNDARY].by_source[source])
        rows.append((source, *_row(*(of.overall for of in sets))))
        categories = [name for name, of in boxes.by_category.items() if of.objects]
        if PERSON in categories and len(categories) > 1:
            rows.append((f"  {PERSON}", *_row(*(of.by_category[PERSON] for of in sets))))
    return Table("By source", ("source", *_COLUMNS), tuple(rows))


_COLUMNS = ("photos", "objects", "box AP", "mask AP", "boundary AP", "mask AP50")


def _row(box: Figures, mask: Figures, boundary: Figures) -> Iterable[str]:
    return str(box.photos), str(box.objects), *map(share, (box.ap, mask.ap, boundary.ap, mask.ap50))


def share(value: float | None) -> str:
    """A figure in percent, as text."""
    return "-" if value is None else f"{value:.1f}"


def _signed(interval: Interval) -> tuple[str, str]:
    """A difference and its bounds, as text."""
    if interval.value is None or interval.low is None or interval.high is None:
        return share(interval.value), "-"
    return f"{interval.value:+.1f}", f"{interval.low:+.1f} to {interval.high:+.1f}"


def _bounds(interval: Interval) -> str:
    """The bounds, in whole numbers: they are rough, and columns narrow."""
    return "-" if interval.low is None or interval.high is None else f"{interval.low:.0f} to {interval.high:.0f}"
