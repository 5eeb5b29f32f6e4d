"""The models in an image: those in the package, and the one in the archive that it was built with."""

from __future__ import annotations

import importlib.util
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Model:
    """A model, as its ``model.json`` and, where it was pulled, its manifest describe it.

    Attributes:
        name: its own.
        version: likewise.
        purl: its package URL.
        licence: of the weights; empty where none is declared.
        source: the URL that it was downloaded from; empty where it comes with the project.
        weights_sha256: of ``model.safetensors``, in hexadecimal; empty where there is no manifest.
    """

    name: str
    version: str
    purl: str
    licence: str
    source: str = ""
    weights_sha256: str = ""


def shipped_models() -> Iterator[Model]:
    """The models that come with the project."""
    spec = importlib.util.find_spec("pointrend")
    for place in (spec.submodule_search_locations or []) if spec else []:
        for file in sorted(Path(place).glob("weights/*/model.json")):
            yield _model(json.loads(file.read_text(encoding="utf-8")), None)


def packed_model(archive: Path) -> Model:
    """The model in an archive of TorchServe's."""
    with zipfile.ZipFile(archive) as file:
        manifest = "model/manifest.json"
        pulled = json.loads(file.read(manifest)) if manifest in file.namelist() else None
        return _model(json.loads(file.read("model/model.json")), pulled)


def _model(info: Mapping[str, Any], manifest: Mapping[str, Any] | None) -> Model:
    name, version, licence = info["name"], info["version"], info.get("licence") or ""
    if manifest is None:
        return Model(name, version, f"pkg:generic/{name}@{version}", licence)
    source, weights = manifest["source"], manifest["sha256"]["model.safetensors"]
    if "repository" not in source:
        return Model(name, version, f"pkg:generic/{name}@{version}", licence, source["url"], weights)
    repository, commit = source["repository"], source["commit"]
    url = f"{source['hub']}/{repository}/tree/{commit}"
    return Model(name, version, f"pkg:huggingface/{repository}@{commit}", licence, url, weights)
