"""What an image holds, as a CycloneDX 1.6 document on the standard output: ``python scripts/sbom.py``.

Python's packages, as this interpreter sees them, and Debian's, each with its version and licence as it declares it, and
the models that come with the project. Needs nothing but Python.
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

DEBIAN_STATUS = Path("/var/lib/dpkg/status")
DEBIAN_COPYRIGHT = Path("/usr/share/doc")
UNDECLARED = "not declared"


def main() -> None:
    """Write the document."""
    components = [*python_packages(), *debian_packages(), *models()]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "container", "name": "pointrend-serve"}},
        "components": sorted(components, key=lambda each: str(each["bom-ref"])),
    }
    json.dump(document, sys.stdout, indent=1, ensure_ascii=False)
    print()


def component(kind: str, name: str, version: str, purl: str, licence: str) -> dict[str, Any]:
    """One entry."""
    return {
        "type": kind,
        "bom-ref": purl,
        "name": name,
        "version": version,
        "purl": purl,
        "licenses": [{"license": {"name": licence}}],
    }


def python_packages() -> Iterator[dict[str, Any]]:
    """Every installed distribution."""
    for each in distributions():
        name = re.sub(r"[-_.]+", "-", each.metadata["Name"]).lower()
        yield component("library", name, each.version, f"pkg:pypi/{name}@{each.version}", python_licence(each))


def python_licence(package: Distribution) -> str:
    """As the package declares it: an SPDX expression, else its classifiers, else the first line of free text."""
    metadata = package.metadata
    expression = metadata["License-Expression"]
    if expression:
        return str(expression)
    prefix = "License :: "
    classifiers = [each for each in metadata.get_all("Classifier") or [] if each.startswith(prefix)]
    named = [each.rsplit(" :: ", 1)[-1] for each in classifiers if each != "License :: OSI Approved"]
    text = (metadata["License"] or "").strip().splitlines()
    return ", ".join(named) or (text[0] if text else UNDECLARED)


def debian_packages() -> Iterator[dict[str, Any]]:
    """Every installed package of Debian's, where there is any."""
    if not DEBIAN_STATUS.is_file():
        return
    for paragraph in DEBIAN_STATUS.read_text(encoding="utf-8").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[0] != " ")
        if fields.get("Status") == "install ok installed":
            name, version = fields["Package"], fields["Version"]
            purl = f"pkg:deb/debian/{name}@{version}?arch={fields['Architecture']}"
            yield component("library", name, version, purl, debian_licence(name))


def debian_licence(name: str) -> str:
    """The licences that the package's copyright file names; the file itself ships in the image."""
    file = DEBIAN_COPYRIGHT / name / "copyright"
    if not file.is_file():
        return UNDECLARED
    text = file.read_text(encoding="utf-8", errors="replace")
    names = sorted(set(re.findall(r"^License: *(\S.*)$", text, re.MULTILINE)))
    return ", ".join(names) or f"see {file}"


def models() -> Iterator[dict[str, Any]]:
    """The models that come with the project."""
    spec = importlib.util.find_spec("pointrend")
    for place in (spec.submodule_search_locations or []) if spec else []:
        for file in sorted(Path(place).glob("weights/*/model.json")):
            model = json.loads(file.read_text(encoding="utf-8"))
            name, version = model["name"], model["version"]
            purl = f"pkg:generic/{name}@{version}"
            yield component("machine-learning-model", name, version, purl, model.get("licence", UNDECLARED))


if __name__ == "__main__":
    main()
