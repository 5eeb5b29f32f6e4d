"""The curves of what a stack holds over time; needs matplotlib, which the extra ``train`` brings."""

from __future__ import annotations

from pathlib import Path

from benchmarks.watch import Watch

PANELS = (("rss_mib", "resident memory, MiB"), ("descriptors", "descriptors"), ("threads", "threads"))


def plot(watch: Watch, file: Path) -> None:
    """Draw memory, descriptors and threads by process, and the temporary files by part."""
    from matplotlib.figure import Figure  # optional

    figure = Figure(figsize=(12, 8), layout="constrained")
    axes = figure.subplots(2, 2, sharex=True).flat
    for axis, (what, title) in zip(axes, PANELS, strict=False):
        for process in watch.processes():
            axis.plot(*watch.series(process, what), label=process)
        axis.set_title(title)
        axis.legend(fontsize="small")
    last = axes[len(PANELS)]
    for part in sorted({each.part for each in watch.files}):
        points = [(each.seconds, each.mib) for each in watch.files if each.part == part]
        last.plot(*zip(*points, strict=True), label=part)
    last.set_title("temporary files, MiB")
    last.legend(fontsize="small")
    for axis in (axes[len(PANELS) - 1], last):
        axis.set_xlabel("seconds")
    figure.savefig(file)
