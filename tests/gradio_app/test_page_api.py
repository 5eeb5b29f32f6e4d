"""The page's named endpoints by ``gradio_client``, as their documentation tells of them."""

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from playwright.sync_api import expect

from gradio_app.app import McpMissingError, launch
from gradio_app.examples import EXAMPLES
from gradio_app.servers import Server

pytestmark = pytest.mark.server

PHOTO = EXAMPLES[0].path


@pytest.fixture(scope="module")
def client(page_url, tmp_path_factory):
    return Client(page_url, verbose=False, download_files=str(tmp_path_factory.mktemp("answers")))


def test_every_endpoint_is_named_and_documented(client):
    endpoints = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert set(endpoints) == {"/segment", "/overlay", "/export", "/refine", "/models"}
    assert client.view_api(return_format="dict", print_info=False)["unnamed_endpoints"] == {}
    for endpoint in endpoints.values():
        assert len(endpoint["description"]) > 40
    named = [parameter["parameter_name"] for parameter in endpoints["/segment"]["parameters"]]
    assert named == ["photo", "score_threshold", "categories", "model"]


def test_every_parameter_is_described(page_url):
    text = httpx.get(f"{page_url}/gradio_api/info").text
    assert "sample_file" not in text
    assert "Hello!!" not in text
    endpoints = json.loads(text)["named_endpoints"]
    for name, endpoint in endpoints.items():
        for parameter in endpoint["parameters"]:
            description = parameter["python_type"]["description"]
            assert re.fullmatch(r"[A-Z0-9].{15,110}\.", description), (name, parameter["parameter_name"])
    photo, *_, background = endpoints["/export"]["parameters"]
    assert photo["component"] == "Image"
    assert photo["example_input"]["path"] == "photo.jpg"
    assert background["example_input"] is None


def test_the_snippets_of_the_api_page_run_as_they_stand(page_url, tmp_path):
    Image.open(PHOTO).convert("RGB").save(tmp_path / "photo.jpg")
    endpoints = httpx.get(f"{page_url}/gradio_api/info").json()["named_endpoints"]
    code = "\n".join(endpoint["code_snippets"]["python"] for endpoint in endpoints.values())
    assert code.count("handle_file('photo.jpg')") == 4
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("person") >= 2
    script = endpoints["/export"]["code_snippets"]["javascript"]
    names = re.findall(r"const (\w+)", script)
    assert len(names) == len(set(names))


def test_the_api_page_shows_images_and_descriptions(browser, page_url):
    visitor = browser.new_page()
    visitor.goto(page_url)
    visitor.get_by_role("button", name="Use via API").click(timeout=60_000)
    shown = visitor.locator("body")
    expect(shown).to_contain_text("API documentation", timeout=60_000)
    expect(shown).to_contain_text("handle_file('photo.jpg')")
    expect(shown).to_contain_text("Keep objects that the model is at least this sure of")
    assert "sample_file" not in shown.inner_text()
    visitor.close()


def test_segment_answers_as_the_server_does(client):
    answer = client.predict(photo=handle_file(PHOTO), score_threshold=0.75, api_name="/segment")
    assert answer["instances"][0]["category"] == "person"
    assert min(instance["score"] for instance in answer["instances"]) >= 0.75
    assert answer["image"] == {"width": 512, "height": 512}
    all_of_them = client.predict(photo=handle_file(PHOTO), score_threshold=0.05, categories="all", api_name="/segment")
    assert len(all_of_them["instances"]) > len(answer["instances"])


@pytest.mark.parametrize("view", ["Masks", "Boxes", "Semantic map"])
def test_overlay_is_the_photo_drawn_upon(client, view):
    with Image.open(client.predict(photo=handle_file(PHOTO), view=view, api_name="/overlay")) as picture:
        assert (picture.format, picture.size) == ("PNG", (512, 512))
        assert picture.tobytes() != Image.open(PHOTO).convert("RGB").tobytes()


@pytest.mark.parametrize("kind", ["coco", "labelme", "yolo", "masks", "cutouts", "overlay", "effect"])
def test_export_writes_each_kind(client, kind):
    path = Path(client.predict(photo=handle_file(PHOTO), kind=kind, score_threshold=0.75, api_name="/export"))
    if kind == "coco":
        assert json.loads(path.read_text())["annotations"][0]["score"] > 0.75
    elif kind == "labelme":
        assert json.loads(path.read_text())["shapes"]
    elif kind in ("overlay", "effect"):
        assert Image.open(path).size == (512, 512)
    elif kind == "yolo":
        assert zipfile.ZipFile(path).namelist() == ["data.yaml", "images/astronaut.jpg", "labels/astronaut.txt"]
    else:
        assert zipfile.ZipFile(path).namelist()[0] == "person-1.png"


def test_an_effect_has_its_own_parameters(client, tmp_path):
    def corner(**given):
        path = client.predict(photo=handle_file(PHOTO), kind="effect", api_name="/export", **given)
        with Image.open(path) as picture:
            return picture.mode, picture.getpixel((2, 2))

    assert corner(effect="colour", colour="#0a0B0c") == ("RGB", (10, 11, 12))
    assert corner(effect="transparent") == ("RGBA", (0, 0, 0, 0))
    Image.new("RGB", (40, 30), (1, 2, 3)).save(tmp_path / "wall.png")
    wall = handle_file(tmp_path / "wall.png")
    assert corner(effect="picture", background=wall) == ("RGB", (1, 2, 3))
    with pytest.raises(AppError, match="needs another image"):
        corner(effect="picture")
    with pytest.raises(AppError, match="#rrggbb"):
        corner(effect="colour", colour="red")


def test_refine_tells_each_steps_points(client):
    answer = client.predict(photo=handle_file(PHOTO), step=2, score_threshold=0.75, api_name="/refine")
    assert {len(instance["points"]) for instance in answer["instances"]} == {784}


def test_models_lists_states(client):
    (model,) = client.predict(api_name="/models")
    assert model["state"] == "ready"
    assert model["about"]["name"] == "pointrend-demo"


def test_what_is_refused_comes_with_the_servers_sentence(client, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"this is no photo")
    with pytest.raises(AppError, match="not an image that can be read"):
        client.predict(photo=handle_file(bad), api_name="/segment")
    with pytest.raises(AppError, match="knows no category 'unicorn'"):
        client.predict(photo=handle_file(PHOTO), categories="unicorn", api_name="/overlay")
    with pytest.raises(AppError, match="There is no photo"):
        client.predict(photo=None, api_name="/export")


def test_mcp_without_its_library_is_said(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(McpMissingError, match=r"pointrend-serve\[mcp\]"):
        launch([Server("Here", "http://127.0.0.1:1")], mcp=True)


def test_uploads_and_results_are_deleted(tmp_path, served):
    """In a process of its own, with the same page and a shorter life of its files."""
    photo, cache = tmp_path / "private.png", tmp_path / "cache"
    Image.open(PHOTO).resize((200, 200)).save(photo)
    script = f"""
import time
from pathlib import Path
from gradio_app import app
app.CLEAN_EVERY_SECONDS, app.KEPT_SECONDS = 1, 10
from gradio_app.servers import Server, Servers
from gradio_client import Client, handle_file
page = app.build(Servers([Server("Here", {served.url!r})]))
_, url, _ = page.launch(server_name="127.0.0.1", ssr_mode=False, prevent_thread_lock=True, quiet=True)
client = Client(url, verbose=False, download_files=False)
client.predict(photo=handle_file({str(photo)!r}), kind="coco", api_name="/export")
def files():
    return sorted(path.name for path in Path({str(cache)!r}).rglob("private*") if path.is_file())
print(files())
deadline = time.monotonic() + 60
while files() and time.monotonic() < deadline:
    time.sleep(0.5)
print(files())
page.close()
"""
    environment = os.environ | {"GRADIO_TEMP_DIR": str(cache)}
    command = [sys.executable, "-c", script]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=150, check=False)
    assert run.returncode == 0, run.stderr
    before, after = (line for line in run.stdout.splitlines() if line.startswith("["))
    assert "private-coco.json" in before
    assert "private.png" in before
    assert after == "[]"
    originals = [path for path in cache.rglob("*") if path.is_file() and path.read_bytes() == photo.read_bytes()]
    assert originals == []
