import json
import zipfile
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import pointrend
from pointrend.cli.main import app

GOLDEN = Path(__file__).parents[1] / "golden" / "pointrend_3class_portrait"
RUN = CliRunner()


def test_convert_makes_a_folder_that_loads(tmp_path):
    info = {
        "name": "three",
        "version": "1",
        "categories": [{"id": number, "name": f"thing {number}"} for number in (1, 2, 3)],
    }
    (tmp_path / "info.json").write_text(json.dumps(info))
    arguments = [GOLDEN / "model_final.pkl", GOLDEN / "config.yaml", tmp_path / "info.json", tmp_path / "three"]

    result = RUN.invoke(app, ["weights", "convert", *map(str, arguments)])

    assert result.exit_code == 0, result.output
    assert "three, 3 categories" in result.output
    assert [category.name for category in pointrend.load(tmp_path / "three").info.categories] == [
        "thing 1",
        "thing 2",
        "thing 3",
    ]


def test_archive_is_self_contained_and_carries_no_pickle(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a relative destination, seen from another folder than the archiver's

    result = RUN.invoke(app, ["archive", "--destination", "store"])

    assert result.exit_code == 0, result.output
    names = zipfile.ZipFile(tmp_path / "store" / "pointrend.mar").namelist()
    assert {
        "MAR-INF/MANIFEST.json",
        "model-config.yaml",
        "pointrend_handler.py",
        "pointrend/service/inputs.py",
        "pointrend/inference/segmenter.py",
        "pointrend/modeling/rcnn.py",
        "model/model.safetensors",
        "model/config.yaml",
        "model/model.json",
    } <= set(names)
    assert [name for name in names if name.endswith((".pkl", ".pth", ".pyc"))] == []
    assert sum(name.endswith(".safetensors") for name in names) == 1
    assert list((tmp_path / "store").iterdir()) == [tmp_path / "store" / "pointrend.mar"]


def commands(command, names=()):
    """Every command below one, as the words that call it, with itself."""
    below = getattr(command, "commands", {})
    if not below:
        yield names, command
    for name, child in below.items():
        yield from commands(child, (*names, name))


@pytest.mark.parametrize(("names", "command"), list(commands(typer.main.get_command(app))), ids=str)
def test_help_shows_what_is_written_in_brackets(names, command):
    """The library takes text in square brackets for markup, and leaves out what it does not know."""
    shown = " ".join(RUN.invoke(app, [*names, "--help"], env={"COLUMNS": "1000"}).output.split())
    for parameter in command.params:
        if "[" in (parameter.help or ""):
            assert parameter.help.replace("\\[", "[") in shown
