"""Where pulled models are kept, by the variables of :mod:`pointrend.system.environment`. Needs no torch."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pointrend.errors import CheckpointError
from pointrend.system.environment import MIRROR, OFFLINE
from pointrend.system.home import home

MANIFEST = "manifest.json"
GIT_BLOB = "git"  # the hash by which git knows a file's content: SHA-1 of its length and its bytes
_CHUNK = 2**20


def offline() -> bool:
    """Whether the network is not to be touched."""
    return OFFLINE.is_on()


def mirror() -> str | None:
    """The address that replaces the zoo's."""
    return MIRROR.read() or None


def model_path(name: str) -> Path:
    """Where the model folder of a published model is, once pulled."""
    return home() / "models" / name


def is_cached(name: str) -> bool:
    """Whether a published model was pulled; a model folder appears only when it is complete."""
    return (model_path(name) / MANIFEST).is_file()


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    return digests(path, ["sha256"])["sha256"]


def digests(path: Path, kinds: Iterable[str]) -> dict[str, str]:
    """Several hashes of a file, read once: hashlib's by their names, and :data:`GIT_BLOB`."""
    hashes = {
        kind: hashlib.new("sha1" if kind == GIT_BLOB else kind, usedforsecurity=kind not in ("md5", GIT_BLOB))
        for kind in kinds
    }
    if GIT_BLOB in hashes:
        hashes[GIT_BLOB].update(b"blob %d\0" % path.stat().st_size)
    with path.open("rb") as file:
        while block := file.read(_CHUNK):
            for each in hashes.values():
                each.update(block)
    return {kind: each.hexdigest() for kind, each in hashes.items()}


def write_manifest(folder: Path, source: dict[str, Any]) -> None:
    """Note the SHA-256 of every file of a model folder, and where the model came from."""
    files = {path.name: sha256(path) for path in sorted(folder.iterdir()) if path.name != MANIFEST}
    text = json.dumps({"source": source, "sha256": files}, indent=2) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def check_manifest(folder: Path, name: str) -> None:
    """Check that the files of a pulled model are what they were when it was pulled.

    Args:
        folder: of the model.
        name: by which it is pulled.

    Raises:
        CheckpointError: a file is missing, or another, or the manifest cannot be read.
    """
    again = f"Pull the model again: pointrend weights pull {name} --force"
    try:
        wanted = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["sha256"]
        for file, digest in wanted.items():
            if sha256(folder / file) != digest:
                raise CheckpointError(f"{folder / file} has changed since it was pulled. {again}")
    except OSError as error:
        raise CheckpointError(f"{error.filename} cannot be read: {error.strerror}. {again}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{folder / MANIFEST} cannot be parsed: {error!r}. {again}") from error


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Keep other processes from installing into the same folder at the same time: they wait."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    if sys.platform == "win32":
        yield
        return
    import fcntl  # which Windows does not have

    with folder.with_name(f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """A path beside a folder; what is made there takes the folder's place once the block ends without an error.

    So a folder in its place is always whole.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name[:40]}-") as scratch:
        made = Path(scratch) / folder.name
        yield made
        if folder.exists():
            folder.rename(Path(scratch) / "old")
        made.rename(folder)
