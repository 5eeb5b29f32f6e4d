"""pip-audit over the image's locked packages: what it finds must be stated in the VEX."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

from scripts.sbom.vex import statements

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("image.txt", "cpu.txt")


def unstated(report: dict[str, Any]) -> list[str]:
    """The findings of a report of pip-audit's that no statement names, under any of their names."""
    stated = {name for group in statements() for name in group["ids"]}
    return [
        f"{package['name']} {package['version']}: {found['id']}"
        for package in report["dependencies"]
        for found in package.get("vulns", [])
        if not stated & {found["id"], *found["aliases"]}
    ]


@pytest.mark.slow
def test_the_scanner_finds_nothing_that_is_not_stated() -> None:
    files = [word for name in LOCKS for word in ("--requirement", f"requirements/{name}")]
    command = [sys.executable, "-m", "pip_audit", *files, "--no-deps", "--disable-pip", "--format", "json"]
    done = subprocess.run(
        [*command, "--progress-spinner", "off"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if not done.stdout:
        warnings.warn(f"pip-audit AUDITED NOTHING: {done.stderr.strip()[-300:]}", stacklevel=1)
        return
    report = json.loads(done.stdout)
    packages = report["dependencies"]
    assert len(packages) > 50
    skipped = [package for package in packages if "skip_reason" in package]
    if skipped:
        warnings.warn(
            f"pip-audit AUDITED {len(packages) - len(skipped)} OF {len(packages)} PACKAGES; the registry here tells "
            f"nothing of the others, such as {skipped[0]['name']}: {skipped[0]['skip_reason']}",
            stacklevel=1,
        )
    assert not unstated(report)


def test_a_finding_that_nobody_has_stated_is_told() -> None:
    def finding(name: str, *aliases: str) -> dict[str, Any]:
        vulnerability = {"id": name, "aliases": list(aliases), "fix_versions": ["2"], "description": ""}
        return {"name": "package", "version": "1", "vulns": [vulnerability]}

    known = finding("GHSA-xxxx-xxxx-xxxx", "CVE-2023-43654")
    skipped = {"name": "other", "skip_reason": "not found"}
    assert unstated({"dependencies": [known, finding("PYSEC-1"), skipped]}) == ["package 1: PYSEC-1"]
