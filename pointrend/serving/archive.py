"""Building ``pointrend.mar``: everything that TorchServe's worker needs, so that nothing is installed at its start.

What lies in it::

    MAR-INF/MANIFEST.json  model-config.yaml  pointrend_handler.py
    handler/     what else of the handler there is
    pointrend/   the library, without any model
    model/       model.safetensors config.yaml model.json MODEL_CARD.md
                 openvino-int8/ or openvino/, the exported parts, where the archive is for that engine
"""

from __future__ import annotations

import dataclasses
import errno
import importlib.util
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

import pointrend
from pointrend.engines import AUTO, EAGER, EXPORTED, OPENVINO_INT8, automatic, store
from pointrend.engines.fallback import make_or_fall_back
from pointrend.errors import ConfigError, PointRendError
from pointrend.system.processes import child_environment
from pointrend.weights.folder import INFO, WEIGHTS, ModelFolder

logger = logging.getLogger(__name__)
ARCHIVE_NAME = "pointrend"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", re.ASCII)
# By what they are rather than by what they are not: a pickle, which is a program, never comes in.
MODEL_SUFFIXES = (".safetensors", ".yaml", ".json", ".md")
# Of the package ``handler``, which is packed and not imported: TorchServe loads the first by its bare name, from the
# archive's root, and reads the second there. The other modules stay a package, for their names are anybody's.
HANDLER = "pointrend_handler.py"
MODEL_CONFIG = "model-config.yaml"
ROOM_FACTOR = 3  # the staged files, the archiver's own copy of them, and the archive


class ArchiveError(PointRendError):
    """The archive could not be built; one readable sentence says why."""


def build(
    folder: ModelFolder,
    destination: Path,
    name: str = ARCHIVE_NAME,
    *,
    engine: str = EAGER,
    calibrate: Path | None = None,
) -> Path:
    """Build the archive of a model; an older one is replaced only once the new one is whole.

    Args:
        folder: of the model; where its weights are no ``model.safetensors``, the archive gets one made of them.
        destination: the model store, a folder; made where it is missing.
        name: under which it is served: letters, digits, ``_``, ``-`` and ``.``, a letter or digit first.
        engine: what computes the network there: one of :data:`pointrend.engines.NAMES`. What openvino and
            openvino-int8 need is made, where it is not in the cache yet, and goes into the archive. So it is with
            ``auto`` where it can be made here; a server on which ``auto`` stands for eager then runs the same archive
            with that. A model that cannot be quantised without going wrong is packed for eager then, which is logged.
        calibrate: a folder of photos that openvino-int8 is calibrated with, rather than those that come with
            scikit-image.

    Returns:
        the archive's path, ``destination/NAME.mar``.

    Raises:
        CheckpointError: the weights are not safetensors, and cannot be read.
        ArchiveError: the name is not allowed, torch-model-archiver is missing or failed, or the disk is full.
        ConfigError: the model cannot be quantised: a package is missing, or there is no photo to calibrate with; or
            another engine is to be calibrated.
    """
    if not _NAME.fullmatch(name):
        raise ArchiveError(
            f"A model cannot be served as {name!r}: letters, digits, _, - and . are allowed, a letter or digit first."
        )
    if importlib.util.find_spec("model_archiver") is None:
        raise ArchiveError(
            "torch-model-archiver is not installed; install the project with its extra 'serve': "
            "pip install 'pointrend-serve[serve]'"
        )
    destination = destination.resolve()  # the archiver runs in another working directory
    try:
        destination.mkdir(parents=True, exist_ok=True)
        # Beside the destination: renaming is atomic within one file system only. The archiver works in a folder of
        # a fixed name inside TMPDIR, so that two builds at once would mix without one of their own.
        with tempfile.TemporaryDirectory(dir=destination, prefix=".building-") as scratch:
            if folder.weights.name != WEIGHTS:
                folder = with_safetensors(folder, Path(scratch) / "model")
            files = {Path(path.name): path for path in _model_files(folder)}
            brings = automatic(folder.network) if engine == AUTO else engine
            if brings == EAGER:
                engine = EAGER
            if calibrate is not None and brings != OPENVINO_INT8:
                raise ConfigError(f"calibrate: the engine {brings} is not calibrated; {OPENVINO_INT8} is.")
            made_for, exported = make_or_fall_back(
                brings,
                lambda name: _engine_files(folder, name, calibrate, Path(scratch) / "exported"),
                automatic=engine == AUTO,
                model=folder.info.name,
                tell=logger.warning,
            )
            if made_for != brings:
                engine = made_for
            files |= exported
            _check_room(files.values(), destination)
            staged = _stage(files, Path(scratch) / "staged", engine)
            archive = _run_archiver(staged, Path(scratch), name, folder.info.version)
            final = destination / archive.name
            archive.replace(final)
    except OSError as error:
        raise ArchiveError(f"The archive could not be written to {destination}: {_reason(error)}.") from error
    return final


def _engine_files(folder: ModelFolder, engine: str, calibrate: Path | None, scratch: Path) -> dict[Path, Path]:
    """What an engine needs besides the model, by its place in the archive's folder ``model``."""
    if engine not in EXPORTED:
        return {}
    exported = store.find(folder, engine) if calibrate is None else None
    if exported is None:
        exported = _exported(folder, engine, calibrate, scratch)
    return {Path(engine, path.name): path for path in sorted(exported.iterdir())}


def _exported(folder: ModelFolder, engine: str, calibrate: Path | None, scratch: Path) -> Path:
    """The files as they are made now."""
    from pointrend.engines.export import export, prepare  # with it comes torch, which an archive needs else not

    if calibrate is None:
        return prepare(folder, engine)
    export(folder, scratch, engine, calibrate)
    return scratch


def _check_room(files: Iterable[Path], destination: Path) -> None:
    needed = ROOM_FACTOR * sum(path.stat().st_size for path in files)
    free = shutil.disk_usage(destination).free
    if free < needed:
        raise OSError(errno.ENOSPC, f"{needed / 2**20:.0f} MiB are needed and {free / 2**20:.0f} MiB are free")


def _model_files(folder: ModelFolder) -> list[Path]:
    return sorted(path for path in folder.path.iterdir() if path.is_file() and path.suffix in MODEL_SUFFIXES)


def with_safetensors(folder: ModelFolder, copy: Path) -> ModelFolder:
    """A copy of a model folder with its weights as safetensors: a server reads no pickle.

    Args:
        folder: of the model.
        copy: is made.

    Raises:
        CheckpointError: the weights cannot be read.
    """
    from pointrend.weights.checkpoint import read_checkpoint, save_safetensors  # with it comes torch

    copy.mkdir()
    for path in _model_files(folder):
        if path != folder.weights:
            shutil.copyfile(path, copy / path.name)
    save_safetensors(read_checkpoint(folder.weights), copy / WEIGHTS)
    return dataclasses.replace(folder, path=copy)


def _stage(model_files: Mapping[Path, Path], staged: Path, engine: str) -> Path:
    """Lay out the archive's files; the archiver lifts what lies in ``content`` to the archive's root.

    Args:
        model_files: by their places in the archive's folder ``model``.
        staged: receives all; made here.
        engine: which the archive's settings name.
    """
    content = staged / "content"
    for place, path in model_files.items():
        (content / "model" / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, content / "model" / place)
    shutil.copytree(Path(pointrend.__path__[0]), content / "pointrend", ignore=_skip)
    source = handler_folder()
    shutil.copyfile(source / HANDLER, staged / HANDLER)
    (content / "handler").mkdir()
    for path in source.glob("*.py"):
        if path.name != HANDLER:
            shutil.copyfile(path, content / "handler" / path.name)
    config = yaml.safe_load((source / MODEL_CONFIG).read_text(encoding="utf-8"))
    if engine != EAGER:
        config["handler"] = {**(config["handler"] or {}), "engine": engine}
    (staged / MODEL_CONFIG).write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return staged


def handler_folder() -> Path:
    """Where the package ``handler`` lies: found, not imported, since it belongs to TorchServe's worker.

    Raises:
        ArchiveError: it is not installed.
    """
    spec = importlib.util.find_spec("handler")
    if spec is None or not spec.submodule_search_locations:
        raise ArchiveError("The package handler is not installed; install the project again.")
    return Path(next(iter(spec.submodule_search_locations)))


def _skip(folder: str, names: list[str]) -> set[str]:
    """Caches, and models that come with the package."""
    return {name for name in names if name == "__pycache__" or (Path(folder) / name / INFO).is_file()}


def _run_archiver(staged: Path, scratch: Path, name: str, version: str) -> Path:
    """Run torch-model-archiver with relative paths: it takes commas and brackets in a path for its own syntax."""
    command = [sys.executable, "-m", "model_archiver.model_packaging"]
    command += ["--model-name", name, "--version", version, "--handler", HANDLER]
    command += ["--config-file", MODEL_CONFIG, "--extra-files", "content", "--export-path", str(scratch)]
    command += ["--archive-format", "zip-store"]  # weights do not shrink
    environment = child_environment(TMPDIR=str(scratch))
    done = subprocess.run(command, cwd=staged, env=environment, capture_output=True, text=True, check=False)
    archive = scratch / f"{name}.mar"
    if done.returncode != 0 or not archive.is_file():
        if os.strerror(errno.ENOSPC) in done.stderr:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        last = (done.stderr.strip() or "it said nothing").splitlines()[-1]
        raise ArchiveError(f"torch-model-archiver failed with status {done.returncode}: {last}")
    return archive


def _reason(error: OSError) -> str:
    text = error.strerror or str(error)
    return f"the disk is full ({text})" if error.errno in (errno.ENOSPC, errno.EDQUOT) else text
