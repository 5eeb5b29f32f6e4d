"""Where the files are that an engine runs: in the model's folder, as in an archive, or in the cache of this machine."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from pointrend.system.home import home
from pointrend.weights import cache
from pointrend.weights.folder import ModelFolder

STAMP = "engine.json"
VERSION = 5  # of the parts and the way they are exported; files of another are not used


def find(folder: ModelFolder, engine: str) -> Path | None:
    """An engine's files of exactly this model's weights; None where there are none yet."""
    digest = cache.sha256(folder.weights)
    places = (folder.path / engine, _cached(engine, digest))
    return next((place for place in places if _fits(place, digest)), None)


def stamp(source: Path, folder: ModelFolder, images: int) -> None:
    """Note in a folder of exported files which weights they are of.

    Args:
        source: holds the files.
        folder: of the model.
        images: how many they were calibrated with; 0 where they are not quantised.
    """
    note = {"version": VERSION, "weights": cache.sha256(folder.weights), "photos": images}
    (source / STAMP).write_text(json.dumps(note) + "\n", encoding="utf-8")


def scratch(engine: str) -> tempfile.TemporaryDirectory[str]:
    """A folder beside the cached ones, to be moved there by :func:`keep` once it is whole."""
    home = _cached(engine, "").parent
    home.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(dir=home, prefix=".exporting-")


def keep(source: Path, folder: ModelFolder, engine: str) -> Path:
    """Move a whole folder of exported files into the cache."""
    place = _cached(engine, cache.sha256(folder.weights))
    if place.is_dir():  # another version's, or another process was faster
        shutil.rmtree(place, ignore_errors=True)
    source.replace(place)
    return place


def _cached(engine: str, digest: str) -> Path:
    return home() / "engines" / f"{engine}-{digest[:16]}"


def _fits(place: Path, digest: str) -> bool:
    try:
        note = json.loads((place / STAMP).read_text(encoding="utf-8"))
        return bool(note["version"] == VERSION and note["weights"] == digest)
    except (OSError, ValueError, KeyError, TypeError):
        return False
