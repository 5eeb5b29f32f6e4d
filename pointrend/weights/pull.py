"""Pulling a published model: downloaded, converted once to a model folder in the cache, and checked ever after."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pointrend.errors import Unreachable
from pointrend.weights import cache, zoo
from pointrend.weights.download import Expected, Progress, download
from pointrend.weights.folder import ModelFolder

# Beside its tensors a checkpoint holds their names and, if old, a few constants.
MOST_FACTOR, MOST_EXTRA = 1.05, 2**20
CARD = "MODEL_CARD.md"


def is_missing(model: str | Path) -> bool:
    """Whether this is the name of a published model, and no folder, and the model has not been pulled."""
    name = str(model)
    return name in zoo.names() and not Path(name).is_dir() and not cache.is_cached(name)


def pull(name: str, *, progress: Progress = lambda _here, _total: None, force: bool = False) -> ModelFolder:
    """Get a published model, from the cache where it is there.

    Args:
        name: as :func:`pointrend.weights.zoo.names` lists them.
        progress: told of the download.
        force: download and convert again.

    Raises:
        ConfigError: no published model has this name.
        Unreachable: it is not in the cache and cannot be downloaded now.
        DownloadError: the server delivers no such file, or another.
        CheckpointError: the file is not the model; or the cached model has changed.
    """
    model = zoo.find(name)
    folder = cache.model_path(name)
    if force or not cache.is_cached(name):
        if cache.offline():
            raise Unreachable(f"{name} is not in {cache.home()}, and POINTREND_OFFLINE forbids to download it.")
        with _exclusive(folder):
            if force or not cache.is_cached(name):  # another process may have got it in the meantime
                _install(model, folder, progress)
    cache.check_manifest(folder)
    return ModelFolder.open(folder)


def _install(model: zoo.ZooModel, folder: Path, progress: Progress) -> None:
    # Imports torch, which who only lists models need not wait for.
    from pointrend.weights.convert import convert

    checkpoint = cache.home() / "downloads" / Path(model.path).name
    expected = Expected(model.weight_bytes, int(model.weight_bytes * MOST_FACTOR) + MOST_EXTRA, model.hash_prefix)
    url = model.url(cache.mirror())
    digests = download(url, checkpoint, expected, progress=progress)
    # Made beside its place and renamed, so that a folder in its place is always whole.
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{model.name}-") as scratch:
        made = Path(scratch) / model.name
        convert(checkpoint, model.config, made, model.info)
        (made / CARD).write_text(card(model), encoding="utf-8")
        cache.write_manifest(made, {"url": url, **digests})
        if folder.exists():
            folder.rename(Path(scratch) / "old")
        made.rename(folder)
    checkpoint.unlink()


@contextlib.contextmanager
def _exclusive(folder: Path) -> Iterator[None]:
    """Keep other processes from installing the same model at the same time: they wait."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    if sys.platform == "win32":
        yield
        return
    import fcntl

    with folder.with_name(f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def card(model: zoo.ZooModel) -> str:
    """The model card of a published model, in Markdown."""
    figures = "\n".join(f"| {name} | {value} |" for name, value in model.figures.items())
    categories = ", ".join(f"{category.name} ({category.id})" for category in model.categories)
    return f"""# {model.name}

{model.title}. Task: {model.task}.

| figure, in percent | as published |
|---|---|
{figures}

Published by detectron2's authors as number {model.version}: <{model.url()}>.
The figures are theirs ({model.source}), not measured by this project.

## Terms

Weights: {model.licence}.
Data: {model.terms}.

## Categories

{len(model.categories)}, in the order of the network's outputs, with the dataset's ids: {categories}.
"""
