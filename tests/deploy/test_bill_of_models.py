"""The models in the bill of materials: the project's own, and the one that the image was built with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pi_heif
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from pointrend.serving.archive import build
from pointrend.structures.model_info import Category, ModelInfo
from pointrend.weights import cache
from pointrend.weights.convert import convert
from pointrend.weights.folder import ModelFolder
from scripts.sbom.bundled import bundled

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden" / "pointrend_coco80_landscape"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
ZOO = {"url": "https://models.example/7/model_final_123456.pkl", "md5": "123456", "sha256": "7"}
HUB = {"hub": "https://hub.example", "repository": "ada/shapes", "revision": None, "commit": COMMIT}


def test_what_reads_heic_is_listed_with_its_licence() -> None:
    found = {each.name: each for each in bundled(distribution("pi_heif"))}
    assert found.keys() == {"heif", "de265"}
    assert found["heif"].version == pi_heif.libheif_info()["libheif"]
    assert found["de265"].version in pi_heif.libheif_info()["decoders"]["libde265"]
    assert {each.licence for each in found.values()} == {"LGPL-3.0-or-later"}


def models_in_the_bill(store: Path | None) -> list[dict[str, Any]]:
    environment = {name: value for name, value in os.environ.items() if name != "POINTREND_STORE"}
    if store is not None:
        environment["POINTREND_STORE"] = str(store)
    command = [sys.executable, "-m", "sbom"]
    done = subprocess.run(
        command, cwd=ROOT / "scripts", env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(done) is None
    return [each for each in json.loads(done)["components"] if each["type"] == "machine-learning-model"]


def test_the_demo_is_listed_once_though_the_store_has_it_too(tmp_path: Path) -> None:
    alone = models_in_the_bill(None)
    assert [each["name"] for each in alone] == ["pointrend-demo"]
    build(ModelFolder.open("demo"), tmp_path)
    assert models_in_the_bill(tmp_path) == alone


@pytest.mark.parametrize(
    ("source", "purl", "url"),
    [
        (ZOO, "pkg:generic/shapes@2", ZOO["url"]),
        (HUB, f"pkg:huggingface/ada/shapes@{COMMIT}", f"https://hub.example/ada/shapes/tree/{COMMIT}"),
    ],
)
def test_a_model_that_was_pulled_is_listed_with_source_hash_and_licence(
    tmp_path: Path, source: dict[str, str], purl: str, url: str
) -> None:
    categories = tuple(Category(number, f"thing {number}") for number in range(1, 81))
    info = ModelInfo(name="shapes", version="2", categories=categories, licence="CC BY-SA 3.0")
    folder = convert(GOLDEN / "model_final.pkl", GOLDEN / "config.yaml", tmp_path / "shapes", info)
    cache.write_manifest(folder.path, source)
    build(folder, tmp_path / "store")
    (_, listed) = sorted(models_in_the_bill(tmp_path / "store"), key=lambda each: str(each["name"]))
    assert listed == {
        "type": "machine-learning-model",
        "bom-ref": purl,
        "name": "shapes",
        "version": "2",
        "purl": purl,
        "licenses": [{"license": {"name": "CC BY-SA 3.0"}}],
        "hashes": [{"alg": "SHA-256", "content": cache.sha256(folder.weights)}],
        "externalReferences": [{"type": "distribution", "url": url}],
    }
