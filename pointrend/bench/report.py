"""What was measured, for people and for programs: Markdown, a picture, JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from pointrend.bench.footprint import INSTANCES
from pointrend.bench.run import SHAPE, Measurement, Results
from pointrend.bench.stages import MASKS, Cost, dense, total
from pointrend.engines import BF16, EAGER, OPENVINO, OPENVINO_INT8
from pointrend.errors import ConfigError

FORMATS = {
    EAGER: "f32",
    OPENVINO: "f32",
    BF16: "bf16",
    OPENVINO_INT8: "int8",
}  # of the products that an engine computes


def markdown(results: Results) -> str:
    """The machine, its peaks, what was left out and why, and three tables a model."""
    settings = results.settings
    peaks = ", ".join(f"{name} {reached / 1e9:.0f}" for name, reached in results.peaks.items())
    lines = [
        f"{results.machine}. Median of {settings.rounds} rounds, quartiles in brackets.",
        "",
        f"Matrix products here: {peaks} billion operations a second.",
        "",
    ]
    for engine, reason in results.left_out.items():
        lines += [f"Left out: {engine}. {reason}", ""]
    for model in settings.models:
        group = [each for each in results.measured if each.model == model]
        for side in settings.sides:
            lines += _image_tables([each for each in group if each.side == side], settings.counts)
        lines += _processes([each for each in group if each.footprint is not None], results.peaks)
    return "\n".join(lines)


def to_json(results: Results) -> str:
    """Everything, every round included."""
    return json.dumps(asdict(results), indent=1) + "\n"


def plot(results: Results, file: Path, count: int) -> None:
    """Draw a PNG: a panel a model, a bar an engine and photo size, stacked by stage.

    Args:
        results: of a run.
        file: the picture.
        count: of instances, one of those that were measured.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
        from matplotlib.patches import Rectangle
    except ModuleNotFoundError as error:
        raise ConfigError(
            "bench: the picture is drawn with matplotlib, which is not installed. Install the project's extra train: "
            "pip install 'pointrend-serve[train]'"
        ) from error
    models = results.settings.models
    # A stage has its colour in all panels, though two kinds of model have different ones.
    colours: dict[str, str] = {}
    bars: dict[str, Rectangle] = {}
    figure = Figure(figsize=(5.6 * len(models) + 1, 4.4), layout="constrained")
    for model, panel in zip(models, figure.subplots(1, len(models), squeeze=False)[0], strict=True):
        group = [each for each in results.measured if each.model == model]
        names = [f"{each.engine}\n{each.side} px" for each in group]
        floor = np.zeros(len(group))
        for stage in (*dense(group[0].rounds[0]), *MASKS):
            name = f"{stage} {count}" if stage in MASKS else stage
            heights = np.array([_median(each, _stage(name)).wall for each in group])
            colour = colours.setdefault(stage, f"C{len(colours)}")
            bars[stage] = panel.bar(names, heights, 0.7, bottom=floor, color=colour).patches[0]
            floor += heights
        panel.set_title(f"{model}, {count} instance{'s' * (count > 1)}")
        panel.set_ylabel("seconds a photo")
        panel.tick_params(axis="x", labelsize=7)
    figure.legend(bars.values(), bars, loc="outside right upper", fontsize=8)
    figure.savefig(file, dpi=100)


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """The first quartile, the median and the third, read linearly between neighbours.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("Quartiles need at least one value.")
    low, middle, high = np.percentile(np.asarray(values, np.float64), (25, 50, 75))
    return float(low), float(middle), float(high)


def _image_tables(group: Sequence[Measurement], counts: Sequence[int]) -> list[str]:
    """The stages of one image size, and the whole image."""
    model, side = group[0].model, group[0].side
    names = [*dense(group[0].rounds[0]), *(f"{stage} {count}" for stage in MASKS for count in counts)]
    stages = [(name, *(_milliseconds(each, name) for each in group)) for name in names]
    width = side * SHAPE[0] // SHAPE[1]
    lines = [f"### {model}, photos of {width}x{side}", ""]
    lines += _table(("stage, ms", *(each.engine for each in group)), stages)
    truth = next((each for each in group if each.engine == EAGER), None)
    rows = []
    for count in counts:
        whole = _whole(count)
        for each in group:
            taken = _median(each, whole)
            faster = "-" if truth is None else f"{_median(truth, whole).wall / taken.wall:.2f}"
            over = taken.wall / _median(each, _stage("trunk")).wall
            rows.append((f"{count}", each.engine, f"{taken.wall:.2f}", f"{taken.cpu:.2f}", faster, f"{over:.2f}"))
    header = ("instances", "engine", "seconds", "CPU seconds", "eager / this", "this / its trunk")
    return [*lines, "", *_table(header, rows, words=(1,)), ""]


def _processes(group: Sequence[Measurement], peaks: dict[str, float]) -> list[str]:
    """Start, memory, and how much of the machine's matrix products the trunk reaches."""
    rows = []
    for each in group:
        taken = each.footprint
        assert taken is not None  # others are not in this table
        peak_memory, masks = ("-" if mib is None else f"{mib:.0f}" for mib in (taken.peak_mib, taken.mask_mib))
        peak = peaks.get(FORMATS.get(each.engine, ""))
        reached = each.trunk_operations / _median(each, _stage("trunk")).wall
        share = "-" if peak is None or not each.trunk_operations else f"{100 * reached / peak:.0f}%"
        times = (f"{taken.load_seconds:.1f}", f"{taken.first_seconds:.2f}")
        rows.append((each.engine, *times, peak_memory, masks, share))
    header = (
        "engine",
        "loaded after, s",
        "first photo, s",
        "peak, MiB",
        f"{INSTANCES} masks, MiB",
        "of the matrix peak",
    )
    return [f"### {group[0].model}: a process", "", *_table(header, rows), ""]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], words: Sequence[int] = (0,)) -> list[str]:
    """A Markdown table; columns other than ``words`` hold numbers."""
    rule = ["---" if index in words else "---:" for index in range(len(header))]
    return [f"| {' | '.join(row)} |" for row in (header, rule, *rows)]


def _stage(name: str) -> Callable[[dict[str, Cost]], Cost]:
    return lambda costs: costs[name]


def _whole(count: int) -> Callable[[dict[str, Cost]], Cost]:
    return lambda costs: total(costs, count)


def _median(measured: Measurement, cost: Callable[[dict[str, Cost]], Cost]) -> Cost:
    costs = [cost(each) for each in measured.rounds]
    return Cost(quartiles([each.wall for each in costs])[1], quartiles([each.cpu for each in costs])[1])


def _milliseconds(measured: Measurement, name: str) -> str:
    low, middle, high = (1000 * each for each in quartiles([costs[name].wall for costs in measured.rounds]))
    digits = 0 if middle >= 100 else 1
    return f"{middle:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"
