"""What an image holds, as a CycloneDX 1.6 document on the standard output: ``python -m sbom``, from ``scripts/``.

Python's packages, as this interpreter sees them, the libraries that their wheels carry without a package of their own
(those in TorchServe's jar, Java's runtime, native code), Debian's packages, each with its version and licence as it
declares it, the models that come with the project and the one that the image was built with (``POINTREND_STORE``); and
what each known vulnerability of these means here.
``--vex`` writes TorchServe's part alone, ``deploy/vex.json``.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from .bundled import bundled
from .java import Jar
from .models import packed_model, shipped_models
from .vex import vulnerabilities

DEBIAN_STATUS = Path("/var/lib/dpkg/status")
DEBIAN_COPYRIGHT = Path("/usr/share/doc")
UNDECLARED = "not declared"
SERVER = "torchserve"
ARCHIVE = "pointrend.mar"
SOURCE = "pointrend:version-source"
Component = dict[str, Any]


def main(arguments: list[str]) -> None:
    """Write the document."""
    document = vex() if arguments == ["--vex"] else bill_of_materials()
    json.dump(document, sys.stdout, indent=1, ensure_ascii=False)
    print()


def bill_of_materials() -> dict[str, Any]:
    """Everything."""
    carried: dict[str, list[Component]] = {}
    packages = []
    for package in distributions():
        packages.append(python_package(package))
        if inside := list(carried_by(package)):
            carried[packages[-1]["bom-ref"]] = inside
    inner = [each for inside in carried.values() for each in inside]
    held = unique([*packages, *inner, *debian_packages(), *models()])
    return document(held) | {
        "dependencies": [
            {"ref": wheel, "dependsOn": sorted({each["bom-ref"] for each in inside})}
            for wheel, inside in sorted(carried.items())
        ]
    }


def vex() -> dict[str, Any]:
    """TorchServe, whose version is pinned, its jar's libraries, and what is stated of them: the same anywhere."""
    (package,) = [each for each in distributions() if normalised(each) == SERVER]
    return document(unique([python_package(package), *carried_by(package)]))


def document(components: list[Component]) -> dict[str, Any]:
    """The frame around components, and what is known of them."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "container", "bom-ref": "pointrend-serve", "name": "pointrend-serve"}},
        "components": components,
        "vulnerabilities": vulnerabilities(components),
    }


def unique(components: list[Component]) -> list[Component]:
    """In order of their references, each once: two wheels may carry the same library."""
    return [each for _, each in sorted({str(each["bom-ref"]): each for each in components}.items())]


def carried_by(package: Distribution) -> Iterator[Component]:
    """What lies in one wheel and is not its own."""
    if normalised(package) == SERVER and (jar := Jar.installed()):
        for library in jar.libraries:
            group, name = library.name.split(":")
            found = component("library", name, library.version, library.purl, library.licence)
            yield found | {"group": group, "properties": [{"name": SOURCE, "value": library.source}]}
    for each in bundled(package):
        found = component("library", each.name, each.version, each.purl, each.licence or f"see the wheel {each.wheel}")
        yield found | {"properties": [{"name": SOURCE, "value": each.file}]}


def component(kind: str, name: str, version: str, purl: str, licence: str) -> Component:
    """One entry."""
    return {
        "type": kind,
        "bom-ref": purl,
        "name": name,
        "version": version,
        "purl": purl,
        "licenses": [{"license": {"name": licence}}],
    }


def normalised(package: Distribution) -> str:
    """Its name as the registry compares it."""
    return re.sub(r"[-_.]+", "-", package.metadata["Name"]).lower()


def python_package(package: Distribution) -> Component:
    """An installed distribution."""
    name = normalised(package)
    return component("library", name, package.version, f"pkg:pypi/{name}@{package.version}", python_licence(package))


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


def debian_packages() -> Iterator[Component]:
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


def models() -> Iterator[Component]:
    """The models that come with the project, and the one in the image's store."""
    store = os.environ.get("POINTREND_STORE")
    for model in (*shipped_models(), *([packed_model(Path(store) / ARCHIVE)] if store else [])):
        found = component("machine-learning-model", model.name, model.version, model.purl, model.licence or UNDECLARED)
        if model.weights_sha256:
            found["hashes"] = [{"alg": "SHA-256", "content": model.weights_sha256}]
        if model.source:
            found["externalReferences"] = [{"type": "distribution", "url": model.source}]
        yield found


if __name__ == "__main__":
    main(sys.argv[1:])
