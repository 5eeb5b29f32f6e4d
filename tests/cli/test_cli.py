import inspect
import json
import subprocess
import sys
import zipfile
from importlib import import_module
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import pointrend
from pointrend.cli.main import COMMANDS, app
from pointrend.structures.options import Options, names

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
        "pointrend/inference/loading.py",
        "pointrend/modeling/rcnn.py",
        "model/model.safetensors",
        "model/config.yaml",
        "model/model.json",
    } <= set(names)
    assert [name for name in names if name.endswith((".pkl", ".pth", ".pyc"))] == []
    assert sum(name.endswith(".safetensors") for name in names) == 1
    assert list((tmp_path / "store").iterdir()) == [tmp_path / "store" / "pointrend.mar"]


def commands():
    """Every command, as the words that call it, with itself."""
    for name, (module, _) in COMMANDS.items():
        command = typer.main.get_command(import_module(f"pointrend.cli.{module}").app)
        below = getattr(command, "commands", {})
        yield from (((name, child), each) for child, each in below.items())
        if not below:
            yield (name,), command


@pytest.mark.parametrize(
    ("names", "command"), list(commands()), ids=lambda value: "-".join(value) if isinstance(value, tuple) else ""
)
def test_help_shows_no_markup(names, command):
    """Text in square brackets is markup to the library, which leaves out what it does not know."""
    shown = " ".join(RUN.invoke(app, [*names, "--help"], env={"COLUMNS": "1000"}).output.split())
    assert not set("\\`") & set(shown)
    for parameter in command.params:
        if "[" in (parameter.help or ""):
            assert parameter.help.replace("\\[", "[") in shown


def test_the_list_of_commands_says_what_each_ones_help_begins_with():
    for name, (module, summary) in COMMANDS.items():
        command = typer.main.get_command(import_module(f"pointrend.cli.{module}").app)
        assert " ".join(command.help.split("\n\n")[0].split()) == summary, name


def test_help_and_version_import_no_torch():
    program = "import sys; from pointrend.cli.main import app; app(sys.argv[1:], standalone_mode=False); "
    program += "assert 'torch' not in sys.modules, 'imported'"
    for words in (["--help"], ["--version"]):
        done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"pointrend {pointrend.__version__}"


def test_completion_knows_commands_and_their_options():
    for words, wanted in (("pointrend ", "predict"), ("pointrend predict --sc", "--score-threshold")):
        env = {
            "_POINTREND_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
        }
        shown = RUN.invoke(app, [], env=env, prog_name="pointrend").output
        assert wanted in shown.split()


@pytest.mark.parametrize(("module", "command"), [("predict", "predict"), ("batch", "batch")])
def test_commands_have_the_defaults_of_a_request(module, command):
    function = getattr(import_module(f"pointrend.cli.{module}"), command)
    defaults = {name: parameter.default for name, parameter in inspect.signature(function).parameters.items()}
    shared = set(defaults) & set(names())
    assert {"task", "score_threshold", "categories"} <= shared
    for name in shared:
        assert defaults[name] == getattr(Options(), name)
