"""CHANGELOG.md, CITATION.cff and the package agree on the version, and the new names of moved modules exist."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import yaml

import pointrend

ROOT = Path(__file__).parents[2]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_newest_release_is_the_packages_version() -> None:
    headings = re.findall(r"^## \[([^\]]+)\](.*)$", CHANGELOG, re.MULTILINE)
    assert headings[0] == ("Unreleased", "")
    version, date = headings[1]
    assert version == pointrend.__version__
    assert re.fullmatch(r" - \d{4}-\d\d-\d\d", date)


def test_sections_are_those_of_keep_a_changelog() -> None:
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.+)$", CHANGELOG, re.MULTILINE)) <= kinds


def test_citation_names_the_version_and_the_paper() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == pointrend.__version__
    assert citation["preferred-citation"]["doi"] == "10.1109/CVPR42600.2020.00982"


def test_the_new_names_of_moved_modules_exist() -> None:
    table = CHANGELOG.split("| 0.1.0 | 0.2.0 |")[1].split("\n\n")[0]
    new = [name for row in table.splitlines()[2:] for name in full_names(row.split("|")[2])]
    assert len(new) > 30
    for name in new:
        assert exists(name), name


def full_names(cell: str) -> list[str]:
    """Every name of a cell; one without its package has that of the name before it."""
    names: list[str] = []
    for name in re.findall(r"`([A-Za-z_.]+[A-Za-z_])`", cell):
        package = names[-1].rpartition(".")[0] if names else ""
        names.append(name if "." in name or not package else f"{package}.{name}")
    return names


def exists(name: str) -> bool:
    """Whether it is a module, or an attribute of one."""
    module, _, attribute = name.rpartition(".")
    if importlib.util.find_spec(name.partition(".")[0]) is None:
        return False
    try:
        if importlib.util.find_spec(name) is not None:
            return True
    except ModuleNotFoundError:
        pass
    return hasattr(importlib.import_module(module), attribute)
