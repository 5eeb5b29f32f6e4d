"""The committed documentation is what its script writes, and speaks of every error code there is."""

import json
import re
from pathlib import Path

import pytest
from openapi_spec_validator import validate

from gateway import config
from pointrend.error_codes import CLIENT, ERROR_CODES, GATEWAY, MODEL, SERVER
from pointrend.errors import RequestError
from pointrend.system import channel, environment, threads
from scripts import write_api_docs

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("page", write_api_docs.PAGES, ids=lambda page: page.name)
def test_the_committed_tables_are_current(page):
    assert page.read_text() == write_api_docs.markdown(page, page.read_text())


def test_every_table_has_a_page():
    assert sorted(name for names in write_api_docs.PAGES.values() for name in names) == sorted(write_api_docs.tables())


def test_the_committed_openapi_file_is_current():
    assert write_api_docs.OPENAPI.read_text() == write_api_docs.openapi()


def test_a_missing_marker_is_told():
    with pytest.raises(ValueError, match="no markers <!-- options -->"):
        write_api_docs.markdown(next(iter(write_api_docs.PAGES)), "# nothing")


def test_the_openapi_file_is_one():
    validate(json.loads(write_api_docs.OPENAPI.read_text()))


def test_every_code_that_the_model_raises_is_in_the_table():
    packages = ("structures", "masks", "images", "visualize", "inference", "service")
    folders = [*(ROOT / "pointrend" / package for package in packages), ROOT / "handler"]
    paths = [ROOT / "pointrend" / "errors.py", *sorted(path for folder in folders for path in folder.glob("*.py"))]
    mentioned = set(re.findall(r'\bcode="(\w+)"', "\n".join(path.read_text() for path in paths)))
    by_class = {RequestError.code, *(kind.code for kind in RequestError.__subclasses__())}
    listed = {entry.code for entry in ERROR_CODES if entry.origin == MODEL}
    assert mentioned | by_class == listed


def test_every_code_that_the_gateway_makes_is_in_the_table():
    paths = (ROOT / "gateway").rglob("*.py")
    text = "\n".join(path.read_text() for path in paths)
    assert set(re.findall(r'\bcode="(\w+)"', text)) <= {entry.code for entry in ERROR_CODES}
    assert all(f'"{entry.code}"' in text for entry in ERROR_CODES if entry.origin == GATEWAY)


def test_every_code_that_the_client_makes_is_in_the_table():
    own = {entry.code for entry in ERROR_CODES if entry.origin in (SERVER, CLIENT)}
    client = "\n".join(path.read_text() for path in sorted((ROOT / "pointrend" / "client").glob("*.py")))
    assert own <= set(re.findall(r'"(\w+)"', client))
    assert set(re.findall(r'\bcode="(\w+)"', client)) <= {entry.code for entry in ERROR_CODES}


def test_statuses_of_classes_and_table_agree():
    table = {entry.code: entry.status for entry in ERROR_CODES}
    assert len(table) == len(ERROR_CODES)
    for kind in RequestError.__subclasses__():
        assert table[kind.code] == kind.status


def test_every_variable_that_the_library_reads_is_in_a_table():
    paths = sorted((ROOT / "pointrend").rglob("*.py"))
    mentioned = set(re.findall(r"\bPOINTREND_[A-Z_]+", "\n".join(path.read_text() for path in paths)))
    own = {variable.name for variable in (*environment.VARIABLES, *config.VARIABLES)}
    # From the launcher to the page and to its workers, for nobody else.
    assert mentioned - own == {channel.ADDRESS, channel.SECRET, threads.VARIABLE}
