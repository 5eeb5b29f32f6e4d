"""A real Label Studio asks the backend: photos are pre-labelled, corrected on its canvas, exported, and trained on."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

import pointrend
from gradio_app.examples import by_key
from pointrend.images.inputs import pixels
from pointrend.integrations.label_studio.brush import decode_brush
from pointrend.masks.decode import full
from pointrend.structures.options import Options
from pointrend.structures.prediction import Prediction
from tests.chromium import ARGUMENTS, CHROMIUM
from tests.label_studio import EMAIL, PASSWORD, LabelStudio

pytestmark = [pytest.mark.slow, pytest.mark.browser]
CAT, DOGS = by_key("cat-and-mug").path, by_key("dogs").path
OUTLINES = """<View><Image name="image" value="$photo"/><PolygonLabels name="outline" toName="image">
  <Label value="Cat"/><Label value="Mug" predicted_values="cup"/><Label value="Lamp"/></PolygonLabels></View>"""
BRUSHES = """<View><Image name="image" value="$photo"/>
  <BrushLabels name="mask" toName="image"><Label value="cat"/><Label value="cup"/></BrushLabels></View>"""
DRAWN = """<View><Image name="image" value="$photo"/>
  <PolygonLabels name="outline" toName="image"><Label value="Train"/></PolygonLabels>
  <RectangleLabels name="box" toName="image" smart="true"><Label value="Train"/></RectangleLabels></View>"""
PATIENCE_MS = 60_000
RECIPES = Path(pointrend.__file__).parent / "training" / "recipes"


@pytest.fixture(scope="module")
def found() -> Prediction:
    """What the model finds in the cat's photo, as the backend asks for it."""
    return pointrend.load("demo")(pixels(CAT), Options(categories=("cat", "cup")))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium was found; on Debian and Ubuntu: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


def connect(server: LabelStudio, project: int, backend: str, **settings: Any) -> int:
    body = {"project": project, "url": backend, "title": "PointRend", "is_interactive": True, **settings}
    added = server.ask("POST", "/api/ml", json=body)
    assert (added["readable_state"], added["error_message"]) == ("Connected", None)
    assert added["model_version"] == "pointrend-demo 1.0"
    return int(added["id"])


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def open_task(browser: Browser, server: LabelStudio, project: int, task: int) -> Page:
    page = browser.new_page(viewport={"width": 1500, "height": 950})
    page.goto(f"{server.url}/user/login")
    page.fill("input[name=email]", EMAIL)
    page.fill("input[name=password]", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_url(lambda url: "login" not in url, timeout=PATIENCE_MS)
    page.goto(f"{server.url}/projects/{project}/data?task={task}")
    expect(page.locator("canvas").first).to_be_visible(timeout=PATIENCE_MS)
    return page


def test_outlines_are_those_of_the_model(label_studio: LabelStudio, backend: str, found: Prediction) -> None:
    project, (task, other) = label_studio.project(OUTLINES, CAT, DOGS)
    connect(label_studio, project, backend)
    label_studio.retrieve(project)
    (prediction,) = label_studio.predictions(task)
    masks = {each.name: each.mask() for each in found.instances}
    names = {"Cat": "cat", "Mug": "cup"}
    regions = prediction["result"]
    assert {region["value"]["polygonlabels"][0] for region in regions} == set(names)
    assert (regions[0]["original_width"], regions[0]["original_height"]) == (found.width, found.height)
    for label, name in names.items():
        drawn = [
            (np.array(region["value"]["points"]) / 100 * (found.width, found.height)).ravel().tolist()
            for region in regions
            if region["value"]["polygonlabels"] == [label]
        ]
        assert overlap(full(drawn, (found.height, found.width)), masks[name]) > 0.95
    assert label_studio.predictions(other)[0]["result"] == []  # dogs are none of its labels


def test_brushes_are_the_masks_pixel_for_pixel(label_studio: LabelStudio, backend: str, found: Prediction) -> None:
    project, (task,) = label_studio.project(BRUSHES, CAT)
    connect(label_studio, project, backend)
    label_studio.retrieve(project)
    regions = label_studio.predictions(task)[0]["result"]
    assert [region["value"]["brushlabels"] for region in regions] == [[each.name] for each in found.instances]
    for region, instance in zip(regions, found.instances, strict=True):
        assert region["score"] == round(instance.score, 4)
        assert np.array_equal(decode_brush(region["value"]["rle"], found.height, found.width), instance.mask())


def test_settings_are_the_projects(label_studio: LabelStudio, backend: str) -> None:
    project, (task,) = label_studio.project(OUTLINES, CAT)
    connect(label_studio, project, backend, extra_params={"score_threshold": 0.72})
    label_studio.retrieve(project)
    regions = label_studio.predictions(task)[0]["result"]
    assert {region["value"]["polygonlabels"][0] for region in regions} == {"Cat"}


@pytest.mark.parametrize(
    ("labelling", "settings", "sentence"),
    [
        (OUTLINES, {"score_treshold": 0.3}, "There is no option 'score_treshold'. Did you mean 'score_threshold'?"),
        (OUTLINES, {"shape": "brush"}, "has no BrushLabels for shape='brushlabels'; it has PolygonLabels."),
        (DRAWN.replace("Train", "Ghost"), {}, "No label (Ghost, Ghost) is one of the model's categories (person,"),
    ],
)
def test_an_annotator_reads_what_is_wrong(
    label_studio: LabelStudio, backend: str, labelling: str, settings: dict[str, Any], sentence: str
) -> None:
    project, _ = label_studio.project(labelling)
    body = {"project": project, "url": backend, "title": "PointRend", "extra_params": settings}
    refused = label_studio.http.post("/api/ml", json=body)
    assert refused.status_code == 400
    assert sentence in refused.json()["validation_errors"]["non_field_errors"][0]


def test_a_broken_photo_spoils_no_other(label_studio: LabelStudio, backend: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(CAT.read_bytes()[:2000])
    project, (first, second) = label_studio.project(OUTLINES, broken, CAT)
    connect(label_studio, project, backend)
    label_studio.retrieve(project)
    assert label_studio.predictions(first)[0]["result"] == []
    assert len(label_studio.predictions(second)[0]["result"]) >= 2


def test_a_mask_is_corrected_exported_and_trained_on(
    label_studio: LabelStudio, backend: str, browser: Browser, tmp_path: Path
) -> None:
    project, (task,) = label_studio.project(OUTLINES, CAT)
    connect(label_studio, project, backend)
    label_studio.retrieve(project)
    page = open_task(browser, label_studio, project, task)
    regions = page.locator(".lsf-outliner-item")
    expect(regions).to_have_count(2, timeout=PATIENCE_MS)
    expect(regions.first).to_contain_text("Cat")
    regions.nth(1).click()
    page.keyboard.press("Backspace")  # the mug is wrong, say
    expect(regions).to_have_count(1)
    with page.expect_response(
        lambda response: response.request.method == "POST" and "/annotations" in response.url, timeout=PATIENCE_MS
    ):
        page.get_by_role("button", name="Submit").click()
    page.close()
    (annotation,) = label_studio.ask("GET", f"/api/tasks/{task}/annotations")
    assert [each["value"]["polygonlabels"] for each in annotation["result"]] == [["Cat"]]

    answer = label_studio.http.get(f"/api/projects/{project}/export", params={"exportType": "COCO_WITH_IMAGES"})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        archive.extractall(tmp_path / "data")
    (tmp_path / "data" / "result.json").rename(tmp_path / "data" / "instances_train.json")
    labels = json.loads((tmp_path / "data" / "instances_train.json").read_text())
    assert len(labels["annotations"]) == 1
    recipe = {
        "name": "corrected",
        "init": "demo",
        "model": str(RECIPES / "one-stage-network.yaml"),
        "crop": 128,
        "batch": 2,
    }
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))
    command = [
        sys.executable,
        "-m",
        "pointrend",
        "train",
        str(tmp_path / "recipe.yaml"),
        "--data",
        str(tmp_path / "data"),
    ]
    command += ["--out", str(tmp_path / "training"), "--budget", "2steps", "--threads", "1", "--workers", "0"]
    trained = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert trained.returncode == 0, trained.stderr
    model = json.loads((tmp_path / "training" / "model" / "model.json").read_text())
    assert [each["name"] for each in model["categories"]] == ["Cat", "Lamp", "Mug"]


def test_a_rectangle_that_is_drawn_gives_its_mask(
    label_studio: LabelStudio, backend: str, browser: Browser, found: Prediction
) -> None:
    project, (task,) = label_studio.project(DRAWN, CAT)
    connect(label_studio, project, backend)
    page = open_task(browser, label_studio, project, task)
    page.get_by_text("Auto-Annotation").click()
    page.get_by_text("Auto-Accept Suggestions").click()
    page.locator(".lsf-tool_smart").first.hover()
    smart = page.locator(".lsf-tool_smart[aria-label=rectangle-tool]")
    if smart.is_visible():
        smart.click()
    page.locator(".lsf-label:has-text('Train')").last.click()
    x, y, width, height = next(each.bbox for each in found.instances if each.name == "cup")
    canvas = page.locator("canvas").first.bounding_box()
    assert canvas is not None
    across, down = canvas["width"] / found.width, canvas["height"] / found.height
    page.mouse.move(canvas["x"] + x * across, canvas["y"] + y * down)
    page.mouse.down()
    page.mouse.move(canvas["x"] + (x + width / 2) * across, canvas["y"] + (y + height / 2) * down, steps=5)
    page.mouse.move(canvas["x"] + (x + width) * across, canvas["y"] + (y + height) * down, steps=5)
    with page.expect_response(lambda response: "interactive-annotating" in response.url, timeout=PATIENCE_MS) as asked:
        page.mouse.up()
    (region,) = asked.value.json()["data"]["result"]
    assert region["value"]["polygonlabels"] == ["Train"]
    outline = (np.array(region["value"]["points"]) / 100 * (found.width, found.height)).ravel().tolist()
    mug = next(each.mask() for each in found.instances if each.name == "cup")
    assert overlap(full([outline], (found.height, found.width)), mug) > 0.8
    page.close()


def test_what_has_no_inside_is_refused_in_words(label_studio: LabelStudio, backend: str) -> None:
    project, (task,) = label_studio.project(DRAWN, CAT)
    identity = connect(label_studio, project, backend)
    drawn = {"type": "keypointlabels", "value": {"x": 10, "y": 10, "keypointlabels": ["Train"]}}
    answer = label_studio.ask(
        "POST", f"/api/ml/{identity}/interactive-annotating", json={"task": task, "context": {"result": [drawn]}}
    )
    assert "not in 'keypointlabels': draw one of these." in answer["errors"][0]
