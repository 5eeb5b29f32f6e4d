"""The snippets of the README and of the documentation run as they stand, only with the test server's addresses.

Every Python block of the pages is run. Shell blocks are run by a test of their own each, since what they need and give
differs; those of the README are counted, so that none is added without its test.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

pytestmark = pytest.mark.server

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md"))]
DEMO_PHOTO = Path(__file__).parents[1] / "demo" / "astronaut.png"


def snippets(page, language):
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


PYTHON = [(page, number) for page in PAGES for number in range(len(snippets(page, "python")))]


@pytest.fixture
def folder(tmp_path):
    """A working directory with a photo, as the snippets expect it."""
    (tmp_path / "photo.jpg").write_bytes(DEMO_PHOTO.read_bytes())
    return tmp_path


def here(code, served):
    """The snippet with the test server's addresses."""
    code = code.replace("http://127.0.0.1:8080", served.url)
    return code.replace("grpc://127.0.0.1:7070", served.rpc_url)


def test_the_readme_has_the_snippets_that_are_tested_here():
    assert len(snippets(README, "bash")) == 3
    assert len(snippets(README, "python")) == 2
    assert len(PYTHON) >= 9


@pytest.mark.parametrize("page", [README, ROOT / "docs" / "serving" / "rest.md"], ids=lambda page: page.name)
def test_curl_with_a_header_answers_json(served, folder, page):
    result = run(["bash", "-ec", here(snippets(page, "bash")[0], served)], folder)
    instances = json.loads(result)["instances"]
    assert instances
    assert {instance["category"] for instance in instances} == {"person"}
    assert min(instance["score"] for instance in instances) >= 0.6


@pytest.mark.parametrize("page", [README, ROOT / "docs" / "serving" / "rest.md"], ids=lambda page: page.name)
def test_curl_with_a_form_writes_a_png(served, folder, page):
    run(["bash", "-ec", here(snippets(page, "bash")[1], served)], folder)
    assert (folder / "masks.png").read_bytes().startswith(b"\x89PNG")


def test_curl_without_options(served, folder):
    (command,) = snippets(ROOT / "docs" / "getting-started.md", "bash")
    assert json.loads(run(["bash", "-ec", here(command, served)], folder))["instances"]


@pytest.mark.parametrize(
    ("page", "number"), PYTHON, ids=[f"{page.relative_to(ROOT).as_posix()}-{number}" for page, number in PYTHON]
)
def test_python(served, folder, page, number, request):
    code = here(snippets(page, "python")[number], served)
    environment = dict(os.environ)
    if "sahi" in code:
        environment["PYTHONPATH"] = str(request.getfixturevalue("sahi_folder"))
    output = run([sys.executable, "-c", code], folder, environment)
    assert re.search(r"person|[1-9]\d* objects|score_threshold", output)


@pytest.mark.parametrize("page", [README, ROOT / "docs" / "command-line.md"], ids=lambda page: page.name)
def test_the_command_line_writes_every_form(folder, page):
    (command,) = [each for each in snippets(page, "bash") if "--save" in each]
    run(["bash", "-ec", command.replace("pointrend ", f"{sys.executable} -m pointrend ")], folder)
    written = {path.relative_to(folder / "masks").as_posix() for path in (folder / "masks").rglob("*")}
    assert {
        "coco/results.json",
        "labelme/photo.json",
        "yolo/labels/photo.txt",
        "png/photo.png",
        "overlay/photo.png",
    } <= written


def test_predict_takes_a_large_image_in_tiles(folder):
    (folder / "aerial").mkdir()
    Image.open(DEMO_PHOTO).convert("RGB").resize((1400, 1000)).save(folder / "aerial" / "photo.jpg")
    (command,) = [each for each in snippets(ROOT / "docs" / "command-line.md", "bash") if "--tiles" in each]
    output = run(["bash", "-ec", command.replace("pointrend ", f"{sys.executable} -m pointrend ")], folder)
    assert "1 done" in output
    assert json.loads((folder / "masks" / "coco" / "results.json").read_text())


@pytest.mark.slow
def test_the_batch_writes_its_parts(folder):
    (folder / "photos").mkdir()
    for name in ("a.jpg", "b.jpg"):
        (folder / "photos" / name).write_bytes(DEMO_PHOTO.read_bytes())
    install, command = snippets(ROOT / "docs" / "batch.md", "bash")[0].splitlines()
    assert install == "pip install -e .[batch]"
    command = command.replace("pointrend ", f"{sys.executable} -m pointrend ")
    assert "2 done" in run(["bash", "-ec", command], folder)
    rows = [json.loads(line) for line in (folder / "results" / "part-00000.jsonl").read_text().splitlines()]
    assert [row["file_name"] for row in rows] == ["a.jpg", "b.jpg"]


def test_every_format_of_predict_is_documented():
    from pointrend.predict.saving import SAVERS

    table = re.findall(r"^\| `(\w+)` \| (?!\[|serve|segment)", (ROOT / "docs" / "command-line.md").read_text(), re.M)
    assert tuple(table) == tuple(SAVERS)


def test_every_suffix_of_a_folder_is_documented():
    from pointrend.images.formats import SUFFIXES

    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    listed = page.split("<!-- suffixes -->")[1].split("<!-- /suffixes -->")[0]
    assert tuple(re.findall(r"`(\.\w+)`", listed)) == SUFFIXES


def test_the_options_are_documented():
    from pointrend.structures.options import names

    page = (ROOT / "docs" / "serving" / "rest.md").read_text(encoding="utf-8")
    table = page.split("<!-- options -->")[1].split("<!-- /options -->")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == names()


def test_the_readme_stays_short_and_its_links_lead_to_files():
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 150
    for link in re.findall(r"\]\(([^)#]+)", text):
        assert link.startswith("https://") or (ROOT / link).is_file(), link


def run(command, folder, environment=None):
    # Within the time a model is quantised.
    result = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=500, check=False, env=environment
    )
    assert result.returncode == 0, result.stderr + result.stdout
    return result.stdout
