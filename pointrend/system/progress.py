"""A progress bar for work of many items."""

from __future__ import annotations

from collections.abc import Iterable, Sized

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


def bar(*, shown: bool) -> Progress:
    """A progress bar on standard error; it shows itself only where somebody looks: a terminal or a notebook."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not (shown and (console.is_terminal or console.is_jupyter)),
    )


def length(items: Iterable[object]) -> int | None:
    """How many there are, where that is known."""
    return len(items) if isinstance(items, Sized) else None
