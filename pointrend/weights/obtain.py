"""Open a model by whatever names it; what is not here yet is pulled first, and the terminal shows it."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from pointrend.weights.folder import ModelFolder
from pointrend.weights.hub import store
from pointrend.weights.hub.address import HubAddress, is_address
from pointrend.weights.pull import is_missing
from pointrend.weights.pull import pull as pull_model


def obtain(model: str | Path, console: Console) -> ModelFolder:
    """Open a model; a published one that is not here yet is pulled first, and the console says so.

    Raises:
        Unreachable: it is not here, and cannot be downloaded now.
        PointRendError: as :meth:`ModelFolder.open` and :func:`pointrend.weights.pull.pull` say.
    """
    if not is_missing(model):
        return ModelFolder.open(model)
    folder = pull_showing_progress(str(model), console)
    console.print(f"Pulled {folder.info.name} to {folder.path}.")
    return folder


def pull_showing_progress(
    name: str, console: Console, *, force: bool = False, sha256: str | None = None
) -> ModelFolder:
    """:func:`pointrend.weights.pull.pull` with a bar, on a terminal that can show one; and what it pinned, in words."""
    address = HubAddress.parse(name) if is_address(name) else None
    before = store.commit_of(address) if address else None
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(binary_units=True))
    with Progress(*columns, TransferSpeedColumn(), TimeRemainingColumn(), console=console, transient=True) as progress:
        task = progress.add_task(name, total=None)
        folder = pull_model(
            name,
            progress=lambda here, total: progress.update(task, completed=here, total=total),
            force=force,
            sha256=sha256,
        )
    if address:
        console.print(_pinned(address, before, folder.path.name), markup=False, highlight=False, soft_wrap=True)
    return folder


def _pinned(address: HubAddress, before: str | None, commit: str) -> str:
    """Which commit an address stands for after a pull, and since when."""
    if commit == address.revision:
        return f"{address} is that commit, and is kept."
    if before is None:
        return (
            f"{address} is pinned to commit {commit}: it is used from now on, also offline. "
            f"`pointrend weights pull {address} --force` updates it."
        )
    if before == commit:
        return f"{address} is still at commit {commit}."
    return f"{address} was at commit {before}, which is kept as {address.at(before)}, and is now at {commit}."
