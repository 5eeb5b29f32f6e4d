"""What a training writes down: a CSV file, TensorBoard events, and a picture of the losses."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

CSV_NAME = "log.csv"
CURVE_NAME = "curve.png"


class Log:
    """Rows of figures by step. A resumed training goes on in the same file; rows after its step are dropped."""

    def __init__(self, folder: Path, *, step: int = 0) -> None:
        from torch.utils.tensorboard import SummaryWriter  # the extra train

        self.path = folder / CSV_NAME
        rows = [row for row in read_rows(self.path) if row["step"] <= step] if self.path.exists() else []
        self._names: list[str] | None = list(rows[0]) if rows else None
        self._file = self.path.open("w", newline="", encoding="utf-8")
        self._writer: Any = None
        for row in rows:
            self._write(row)
        self._events = SummaryWriter(folder / "events", purge_step=step)

    def add(self, step: int, figures: Mapping[str, float]) -> None:
        """Write a row; its names must be those of the first."""
        self._write({"step": step, **figures})
        for name, value in figures.items():
            self._events.add_scalar(name, value, step)

    def close(self) -> None:
        """Close the files."""
        self._file.close()
        self._events.close()

    def __enter__(self) -> Log:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, row: Mapping[str, float]) -> None:
        if self._writer is None:
            self._writer = csv.DictWriter(self._file, self._names or list(row))
            self._writer.writeheader()
        self._writer.writerow({name: f"{value:.6g}" if name != "step" else int(value) for name, value in row.items()})
        self._file.flush()


def read_rows(path: Path) -> list[dict[str, float]]:
    """The rows of a log; a last one that was cut off by a kill is left out."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [{name: float(value) for name, value in row.items()} for row in rows if all(row.values())]


def draw_curve(log: Path, picture: Path) -> None:
    """Draw every loss of a log over the steps, smoothed, as a PNG file."""
    from matplotlib.figure import Figure  # the extra train

    rows = read_rows(log)
    figure = Figure(figsize=(8, 4.5), dpi=120, layout="constrained")
    axes = figure.subplots()
    steps = np.array([row["step"] for row in rows])
    window = max(1, len(rows) // 50)
    for name in rows[0] if rows else ():
        if name.startswith("loss_"):
            values = np.array([row[name] for row in rows])
            smooth = np.convolve(values, np.ones(window) / window, mode="valid")
            axes.plot(steps[window - 1 :], smooth, label=name.removeprefix("loss_"), linewidth=1.2)
    axes.set(xlabel="step", ylabel="loss", yscale="log")
    axes.grid(alpha=0.3)
    if axes.get_lines():  # none after a run without a step
        axes.legend(ncols=4, fontsize="small")
    figure.savefig(picture)
