"""Pulling a published model: downloaded, converted once to a model folder in the cache, and checked ever after.

A model of the Hugging Face Hub, by its address, is pulled by :mod:`pointrend.weights.hub.pull`.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from pointrend.errors import CheckpointError, ConfigError, DownloadError, Unreachable
from pointrend.system.home import home
from pointrend.weights import cache, zoo
from pointrend.weights.download import Progress, download
from pointrend.weights.expected_file import ExpectedFile
from pointrend.weights.folder import CARD, ModelFolder
from pointrend.weights.hub import store
from pointrend.weights.hub.address import HubAddress, is_address
from pointrend.weights.hub.api import shown
from pointrend.weights.hub.pull import pull as pull_from_hub

# Beside its tensors a checkpoint holds their names and, if old, a few constants.
MOST_FACTOR, MOST_EXTRA = 1.05, 2**20
_SHA256 = re.compile(r"[0-9a-f]{64}")


def is_missing(model: str | Path) -> bool:
    """Whether this is a published model's name or address, and no folder, and the model has not been pulled.

    Raises:
        ConfigError: an address on the Hub is malformed.
    """
    name = str(model)
    if is_address(name):
        return store.commit_of(HubAddress.parse(name)) is None
    is_folder = os.path.isdir(name)  # noqa: PTH112  # pathlib raises for a name that is too long
    return name in zoo.names() and not is_folder and not cache.is_cached(name)


def pull(
    name: str,
    *,
    progress: Progress = lambda _here, _total: None,
    force: bool = False,
    sha256: str | None = None,
) -> ModelFolder:
    """Get a published model, from the cache where it is there.

    Args:
        name: as :func:`pointrend.weights.zoo.names` lists them, or ``hf://OWNER/NAME[@REVISION]``.
        progress: told of the download.
        force: download and convert again; on the Hub, find out anew which commit the revision stands for.
        sha256: of the published file, in hexadecimal: no other is taken. Without it, the six digits of its hash that
            its name holds decide. For a model of the Hub a commit does the same.

    Raises:
        ConfigError: no published model has this name, or the address or the SHA-256 is malformed.
        Unreachable: it is not in the cache and cannot be downloaded now.
        DownloadError: the server delivers no such file, or another.
        CheckpointError: the file is not the model; or the cached model has changed, or is of another file.
    """
    if sha256 is not None:
        sha256 = _checked_sha256(name, sha256)
    if is_address(name):
        return pull_from_hub(HubAddress.parse(name), progress=progress, force=force)
    model = zoo.find(name)
    folder = cache.model_path(name)
    if force or not cache.is_cached(name):
        if cache.offline():
            raise Unreachable(f"{name} is not in {home()}, and POINTREND_OFFLINE forbids downloading it.")
        with cache.exclusive(folder):
            if force or not cache.is_cached(name):  # another process may have got it in the meantime
                _install(model, folder, progress, sha256)
    cache.check_manifest(folder, name)
    here = source(folder).get("sha256")
    if sha256 not in (None, here):
        raise CheckpointError(
            f"{name} was made from a file with the SHA-256 {here}, not {sha256}. "
            f"Pull the model again: pointrend weights pull {name} --force --sha256 {sha256}"
        )
    return ModelFolder.open(folder)


def source(folder: Path) -> dict[str, str]:
    """Where a pulled model came from, as its manifest says: ``url``, ``md5`` and ``sha256``, or the Hub's commit.

    Args:
        folder: of the model; its manifest has been checked.
    """
    noted = json.loads((folder / cache.MANIFEST).read_text(encoding="utf-8"))["source"]
    return {str(key): str(value) for key, value in noted.items()}


def _checked_sha256(name: str, sha256: str) -> str:
    if is_address(name):
        raise ConfigError(
            f"sha256: {name} is of the Hugging Face Hub, whose files are checked against its own hashes. "
            "To pin the content, name its commit: hf://OWNER/NAME@COMMIT"
        )
    if not _SHA256.fullmatch(sha256.lower()):
        raise ConfigError(f"sha256: {sha256!r:.80} is not 64 hexadecimal digits.")
    return sha256.lower()


def _install(model: zoo.ZooModel, folder: Path, progress: Progress, sha256: str | None) -> None:
    from pointrend.weights.convert import convert  # with torch, which listing models need not wait for

    checkpoint = home() / "downloads" / Path(model.path).name
    most = int(model.weight_bytes * MOST_FACTOR) + MOST_EXTRA
    expected = ExpectedFile(model.weight_bytes, most, model.hash_prefix, sha256=sha256)
    url = model.url(cache.mirror())
    try:
        digests = download(url, checkpoint, expected, progress=progress)
    except DownloadError as error:
        raise type(error)(f"{model.name}: {error}") from error
    with cache.replacing(folder) as made:
        convert(checkpoint, model.config, made, model.info)
        (made / CARD).write_text(card(model), encoding="utf-8")
        cache.write_manifest(made, {"url": shown(url), **digests})
    checkpoint.unlink()


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
