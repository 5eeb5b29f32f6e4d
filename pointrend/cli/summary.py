"""The end of a run on the terminal."""

from __future__ import annotations

import sys

import typer

from pointrend.predict.summary import Summary


def tell(summary: Summary) -> None:
    """Print a run's summary: the counts to the standard output, names to the standard error."""
    _print(summary.headline(), err=False)
    for line in summary.names():
        _print(line, err=True)


def _print(line: str, *, err: bool) -> None:
    """Print a line even where the terminal's encoding lacks some of its characters."""
    encoding = (sys.stderr if err else sys.stdout).encoding or "utf-8"
    typer.echo(line.encode(encoding, "backslashreplace").decode(encoding), err=err)
