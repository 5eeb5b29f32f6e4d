"""The README's snippets run as they stand, only with the test server's address."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.server

README = (Path(__file__).parents[2] / "README.md").read_text()
DEMO_PHOTO = Path(__file__).parents[1] / "demo" / "astronaut.png"


def snippets(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def folder(tmp_path):
    """A working directory with a photo, as the snippets expect it."""
    (tmp_path / "photo.jpg").write_bytes(DEMO_PHOTO.read_bytes())
    return tmp_path


def test_the_readme_has_the_snippets_that_are_tested_here():
    assert len(snippets("bash")) == 4
    assert len(snippets("python")) == 3


def test_curl_with_a_header_answers_json(served, folder):
    result = run(["bash", "-ec", snippets("bash")[0].replace("http://127.0.0.1:8080", served.url)], folder)
    instances = json.loads(result)["instances"]
    assert instances
    assert {instance["category"] for instance in instances} == {"person"}
    assert min(instance["score"] for instance in instances) >= 0.6


def test_curl_with_a_form_writes_a_png(served, folder):
    run(["bash", "-ec", snippets("bash")[1].replace("http://127.0.0.1:8080", served.url)], folder)
    assert (folder / "masks.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("index", [0, 1, 2], ids=["client", "many", "in-process"])
def test_python(served, folder, index):
    code = snippets("python")[index].replace("http://127.0.0.1:8080", served.url)
    code = code.replace("Client()", f'Client("{served.url}")')
    output = run([sys.executable, "-c", code], folder)
    assert "person" in output or re.search(r"[1-9]\d* objects", output)


def test_the_command_line_writes_every_form(folder):
    command = snippets("bash")[2].replace("pointrend ", f"{sys.executable} -m pointrend ")
    run(["bash", "-ec", command], folder)
    written = {path.relative_to(folder / "masks").as_posix() for path in (folder / "masks").rglob("*")}
    assert {
        "coco/results.json",
        "labelme/photo.json",
        "yolo/labels/photo.txt",
        "png/photo.png",
        "overlay/photo.png",
    } <= written


@pytest.mark.slow
def test_the_batch_writes_its_parts(folder):
    (folder / "photos").mkdir()
    for name in ("a.jpg", "b.jpg"):
        (folder / "photos" / name).write_bytes(DEMO_PHOTO.read_bytes())
    command = snippets("bash")[3].replace("pointrend ", f"{sys.executable} -m pointrend ")
    assert "2 done" in run(["bash", "-ec", command], folder)
    rows = [json.loads(line) for line in (folder / "results" / "part-00000.jsonl").read_text().splitlines()]
    assert [row["file_name"] for row in rows] == ["a.jpg", "b.jpg"]


def test_the_options_are_documented():
    from pointrend.structures.options import names

    table = re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE)
    assert tuple(table) == names()


def run(command, folder):
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr + result.stdout
    return result.stdout
