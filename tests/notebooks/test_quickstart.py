"""The notebook runs from top to bottom, against a server that is there and with one that it starts."""

from __future__ import annotations

import os
from pathlib import Path

import nbclient
import nbformat
import pytest
import requests

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "notebooks" / "quickstart.ipynb"


@pytest.fixture
def notebook():
    return nbformat.read(NOTEBOOK, as_version=4)


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))


def executed(notebook, folder):
    nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    return notebook.cells


def text(cell):
    """What a cell printed and what it answered, in words."""
    parts = [output.get("text", "") + output.get("data", {}).get("text/plain", "") for output in cell.outputs]
    return "".join(parts)


def kinds(cell):
    return {kind for output in cell.outputs for kind in output.get("data", {})}


def find(cells, part):
    [cell] = [cell for cell in cells if cell.cell_type == "code" and part in cell.source]
    return cell


def test_it_is_kept_without_outputs(notebook):
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(code) > 5
    assert not any(cell.outputs or cell.execution_count for cell in code)


@pytest.mark.server
def test_it_runs_against_a_server(notebook, served, monkeypatch, tmp_path):
    monkeypatch.setenv("POINTREND_URL", served.url)

    cells = executed(notebook, tmp_path)

    assert "image/png" in kinds(find(cells, "pointrend.load"))
    assert "person" in text(find(cells, "instance.category:8"))
    assert served.url in text(find(cells, "def start_server"))
    assert "image/png" in kinds(find(cells, "client = Client(url)"))
    assert float(text(find(cells, "that agree"))) > 0.999
    assert "UnsupportedImage" in text(find(cells, "segment_many"))
    assert "person-1.png" in text(find(cells, "masks = served.masks()"))
    assert "polygons for LabelMe" in text(find(cells, "to_labelme"))
    assert "image/png" in kinds(find(cells, "refinement=step"))
    overlaps = [float(line.rsplit(" ", 1)[1]) for line in text(find(cells, "finest =")).splitlines()]
    assert len(overlaps) == 5
    assert overlaps[0] == min(overlaps)
    assert overlaps[4] == 1
    assert any(
        "<iframe" in output.get("data", {}).get("text/html", "") for output in find(cells, "page.launch").outputs
    )


@pytest.mark.server
def test_it_starts_a_server_that_ends_with_the_kernel(notebook, monkeypatch, tmp_path):
    monkeypatch.delenv("POINTREND_URL", raising=False)
    needed = ("import EXAMPLES", "def start_server", "client = Client(url)")
    notebook.cells = [find(notebook.cells, part) for part in needed]

    cells = executed(notebook, tmp_path)

    assert "image/png" in kinds(cells[2])
    with pytest.raises(requests.ConnectionError):
        requests.get(text(cells[1]).strip() + "/ping", timeout=5)
