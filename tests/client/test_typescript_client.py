"""The TypeScript client: generated, checked by tsc, and run by node's own test runner against a running server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pointrend.serving.torchserve import TorchServe

ROOT = Path(__file__).parents[2]
CLIENT = Path("clients") / "typescript"
PHOTO = ROOT / "tests" / "demo" / "astronaut.png"


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("npm") is None, reason="needs node and npm, version 20 or newer")
def test_it_works_against_a_server(served: TorchServe, tmp_path: Path) -> None:
    # In a copy: what npm installs and tsc writes stays out of the checkout.
    folder = tmp_path / CLIENT
    shutil.copytree(ROOT / CLIENT, folder, ignore=shutil.ignore_patterns("node_modules", "dist", "api.ts"))
    (tmp_path / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "openapi.json", tmp_path / "docs")
    environment = {**os.environ, "POINTREND_URL": served.url, "POINTREND_IMAGE": str(PHOTO)}
    for command in (["npm", "ci", "--no-audit", "--no-fund"], ["npm", "test"]):
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=240
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert "# fail 0" in done.stdout
    assert "# pass 9" in done.stdout
    types = (folder / "src" / "api.ts").read_text(encoding="utf-8")
    schemas = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))["components"]["schemas"]
    for name in schemas.keys() - {"Form", "JsonRequest"}:
        assert f"export type {name} = " in types


def test_the_lock_file_names_no_registry() -> None:
    lock = json.loads((ROOT / CLIENT / "package-lock.json").read_text(encoding="utf-8"))
    manifest = json.loads((ROOT / CLIENT / "package.json").read_text(encoding="utf-8"))
    installed = {name: each for name, each in lock["packages"].items() if name}
    assert installed.keys() == {f"node_modules/{name}" for name in manifest["devDependencies"]}
    for each in installed.values():
        assert "resolved" not in each
        assert each["integrity"].startswith("sha512-")
