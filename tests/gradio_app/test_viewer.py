from pathlib import Path

import gradio_app
from gradio_app.browser import script
from gradio_app.viewer import SCRIPTS

FOLDER = Path(gradio_app.__file__).parent


def test_importing_the_page_writes_nothing_beside_it():
    import gradio_app.app  # noqa: F401

    assert list(FOLDER.rglob("*.pyi")) == []  # as Gradio does for subclasses of its components


def test_the_viewer_loads_scripts_that_are_there_and_each_once():
    assert len(set(SCRIPTS)) == len(SCRIPTS)
    assert script(*SCRIPTS).count("class Viewer ") == 1


def test_no_script_makes_markup_of_text():
    for file in (FOLDER / "browser").glob("*.js"):
        source = file.read_text(encoding="utf-8")
        for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
            assert way not in source, (file.name, way)
