"""What each known vulnerability means here, as CycloneDX says it (VEX)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

STATEMENTS = Path(__file__).with_name("vulnerabilities.yaml")
TEST = "pointrend:test"
_DATABASE = "https://nvd.nist.gov/vuln/detail/"


def statements() -> list[dict[str, Any]]:
    """The groups of ``vulnerabilities.yaml``."""
    groups: list[dict[str, Any]] = yaml.safe_load(STATEMENTS.read_text())
    return groups


def vulnerabilities(components: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """CycloneDX's ``vulnerabilities`` of those components that a document has."""
    refs: dict[str, list[str]] = {}
    for component in components:
        refs.setdefault(component["purl"].split("@")[0], []).append(component["bom-ref"])
    found = []
    for group in statements():
        affected = sorted(ref for package in group["affects"] for ref in refs.get(package, []))
        if affected:
            found += [_vulnerability(each, group, affected) for each in group["ids"]]
    return sorted(found, key=lambda each: str(each["id"]))


def _vulnerability(name: str, group: Mapping[str, Any], affected: Sequence[str]) -> dict[str, Any]:
    analysis = {"state": group["state"], "detail": group["detail"]}
    if "justification" in group:
        analysis["justification"] = group["justification"]
    stated: dict[str, Any] = {"id": name, "analysis": analysis, "affects": [{"ref": ref} for ref in affected]}
    if name.startswith("CVE-"):
        stated["source"] = {"name": "NVD", "url": _DATABASE + name}
    if tests := group.get("tests"):
        stated["properties"] = [{"name": TEST, "value": test} for test in tests]
    return stated
