"""How photos come to the page and leave it: a real headless Chromium, a real TorchServe, a camera with a photo."""

import base64
import io
import json
import re
import zipfile

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect
from pycocotools import mask as coco_mask

from pointrend.images.limits import ImageLimits
from tests.gradio_app.visits import (
    ASTRONAUT,
    PATIENCE_MS,
    choose_astronaut,
    drawn,
    look,
    set_slider,
    upload,
    visit,
    wait_for,
)

pytestmark = [pytest.mark.server, pytest.mark.browser]


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.jpg"
    Image.open(ASTRONAUT).convert("RGB").resize((300, 300)).save(path)
    return path


def png(width, height):
    file = io.BytesIO()
    Image.new("1", (width, height)).save(file, "PNG")
    return file.getvalue()


def hand_over(page, event, path):
    """A file dropped or pasted, as a browser tells the page of it."""
    data = base64.b64encode(path.read_bytes()).decode()
    page.evaluate(
        """([event, data, name]) => {
            const transfer = new DataTransfer();
            const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
            transfer.items.add(new File([bytes], name, {type: "image/jpeg"}));
            const options = {bubbles: true, cancelable: true};
            const target = document.querySelector(event === "drop" ? ".pr-stage" : "body");
            if (event === "drop") target.dispatchEvent(new DragEvent("drop", {...options, dataTransfer: transfer}));
            else target.dispatchEvent(new ClipboardEvent("paste", {...options, clipboardData: transfer}));
        }""",
        [event, data, path.name],
    )


def saved(page, kind, tmp_path):
    with page.expect_download(timeout=PATIENCE_MS) as download:
        page.locator(f"#save-{kind}").click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_an_upload_is_shown_at_once(page, photo):
    upload(page, photo)
    wait_for(page, "#status", "Found .*300 x 300")
    expect(page.locator("#photos button")).to_have_count(1)
    assert look(page, "viewer.scene.name") == "photo.jpg"


@pytest.mark.parametrize("event", ["drop", "paste"])
def test_a_photo_is_dropped_on_a_shown_one_or_pasted(page, photo, event):
    choose_astronaut(page)
    hand_over(page, event, photo)
    wait_for(page, "#status", "Found .*300 x 300")


def test_what_is_no_file_is_refused_in_a_sentence(page):
    page.evaluate(
        """() => {
            const transfer = new DataTransfer();
            transfer.setData("text/plain", "https://example.org/cat.jpg");
            const target = document.querySelector(".pr-stage");
            target.dispatchEvent(new DragEvent("drop", {bubbles: true, cancelable: true, dataTransfer: transfer}));
        }"""
    )
    wait_for(page, "#alert", "Only files can be dropped")


def test_several_photos_have_a_result_each_and_one_zip(page, tmp_path):
    sides = 200, 240, 280
    paths = []
    for side in sides:
        paths.append(tmp_path / str(side) / "photo.jpg")  # all of one name
        paths[-1].parent.mkdir()
        Image.open(ASTRONAUT).convert("RGB").resize((side, side)).save(paths[-1])
    upload(page, *paths)
    wait_for(page, "#status", "Found .*200 x 200")  # the first is shown, the others follow
    expect(page.locator("#photos button:enabled")).to_have_count(3, timeout=PATIENCE_MS)
    assert look(page, "viewer.scene.size[0]") == 200
    page.locator("#photos button").nth(2).click()
    wait_for(page, "#status", "Found .*280 x 280")
    page.locator("#save-all").check()
    with zipfile.ZipFile(saved(page, "overlay", tmp_path)) as archive:
        assert sorted(archive.namelist()) == ["photo-2-overlay.png", "photo-3-overlay.png", "photo-overlay.png"]
        widths = {Image.open(io.BytesIO(archive.read(name))).width for name in archive.namelist()}
    assert widths == set(sides)


def test_an_example_that_is_chosen_meanwhile_costs_no_photo(page, tmp_path):
    paths = [tmp_path / f"{side}.jpg" for side in (220, 230, 250)]
    for path in paths:
        Image.open(ASTRONAUT).convert("RGB").resize((int(path.stem), int(path.stem))).save(path)
    upload(page, *paths)
    page.locator("#examples [data-key=dogs]").click()
    page.locator("#examples [data-key=coffee]").click()
    expect(page.locator("#photos button:enabled")).to_have_count(3, timeout=PATIENCE_MS)
    wait_for(page, "#status", "Found .*cup.*600 x 400")


def test_the_downloads_hold_what_is_shown(page, tmp_path):
    choose_astronaut(page)
    set_slider(page, "#threshold", 0.05)
    wait_for(page, "#found", "person 2")
    page.locator("#found li").last.locator(".pr-eye").click()  # hidden: in no download
    shown = look(page, "viewer.scene.visible(viewer.choice).length")
    people = look(page, "viewer.scene.visible(viewer.choice).map((i) => viewer.scene.objects[i].label)")
    assert shown == page.locator("#found li").count() - 1 >= 2

    overlay = saved(page, "overlay", tmp_path)
    assert overlay.name == "astronaut-overlay.png"
    with Image.open(overlay) as picture:
        assert (picture.format, picture.size) == ("PNG", (512, 512))
    coco = json.loads(saved(page, "coco", tmp_path).read_text())
    assert len(coco["annotations"]) == shown
    assert coco["images"][0]["file_name"] == "astronaut.jpg"
    assert {category["name"] for category in coco["categories"]} > {"person", "dog"}
    best = max(coco["annotations"], key=lambda each: each["score"])  # they come least certain first
    decoded = coco_mask.decode(best["segmentation"])
    assert decoded.sum() == best["area"]
    labelme = json.loads(saved(page, "labelme", tmp_path).read_text())
    assert {shape["group_id"] for shape in labelme["shapes"]} == set(range(1, shown + 1))
    with zipfile.ZipFile(saved(page, "yolo", tmp_path)) as archive:
        assert set(archive.namelist()) == {"data.yaml", "images/astronaut.jpg", "labels/astronaut.txt"}
    with zipfile.ZipFile(saved(page, "masks", tmp_path)) as masks:
        assert len(masks.namelist()) == shown
        with masks.open("person-1.png") as file:
            assert (np.asarray(Image.open(file)) > 0).sum() == decoded.sum()
    with zipfile.ZipFile(saved(page, "cutouts", tmp_path)) as cut:
        assert {name.replace("-", " ").removesuffix(".png") for name in cut.namelist()} == {
            re.sub(r"[^\w]+", " ", label) for label in people
        }


def test_effects_are_saved_as_they_are_seen(page, tmp_path):
    choose_astronaut(page)
    expect(page.locator("#save-effect")).to_be_hidden()
    page.locator("#view").get_by_role("radio", name="Cut-outs").check()
    with Image.open(saved(page, "effect", tmp_path)) as clear:
        assert clear.mode == "RGBA"
        transparent = np.asarray(clear).astype(int)
    alpha = transparent[..., 3]
    assert 0.2 < (alpha > 0).mean() < 0.8
    # At the photo's own size the browser's edges are the server's, and its colours nearly: its picture is lossy.
    canvas = page.evaluate('document.querySelector(".pr-viewer").viewer.stage._effect.canvas.toDataURL()')
    with Image.open(io.BytesIO(base64.b64decode(canvas.partition(",")[2]))) as shown:
        seen = np.asarray(shown.convert("RGBA")).astype(int)
    assert np.array_equal(seen[..., 3], alpha)
    edge = (alpha >= 64) & (alpha < 255)
    assert edge.any()
    assert np.abs(seen[edge] - transparent[edge]).mean() <= 6
    page.locator("#effect-colour").fill("#00ff00")
    green = drawn(page)
    with Image.open(saved(page, "effect", tmp_path)) as picture:
        assert (np.asarray(picture.convert("RGB"))[alpha == 0] == (0, 255, 0)).all()
    assert ((green[..., :3] == (0, 255, 0)).all(axis=2)).mean() > 0.05
    background = tmp_path / "sky.png"
    Image.new("RGB", (40, 30), (10, 20, 200)).save(background)
    page.locator("#effects input[type=file]").set_input_files(background)
    expect(page.get_by_role("radio", name="Picture")).to_be_checked()
    with Image.open(saved(page, "effect", tmp_path)) as picture:
        assert (np.abs(np.asarray(picture.convert("RGB"))[alpha == 0].astype(int) - (10, 20, 200)) <= 2).all()


def test_twenty_megapixels_are_sent_whole_and_shown_scaled(page, tmp_path):
    path = tmp_path / "large.jpg"
    Image.open(ASTRONAUT).convert("RGB").resize((4480, 4480)).save(path, quality=80)
    upload(page, path)
    wait_for(page, "#status", "Found .*4480 x 4480")
    assert look(page, "[viewer.scene.photo.naturalWidth, viewer.scene.photo.naturalHeight]") == [1280, 1280]
    with Image.open(saved(page, "overlay", tmp_path)) as picture:
        assert picture.size == (4480, 4480)


def test_a_photo_that_the_browser_may_not_know_is_shown(page, tmp_path):
    path = tmp_path / "photo.avif"
    Image.open(ASTRONAUT).convert("RGB").resize((320, 320)).save(path)
    upload(page, path)
    wait_for(page, "#status", "Found .*320 x 320")


def test_a_snapshot_of_the_camera_is_segmented(page):
    page.locator("#snapshot").click()
    page.wait_for_function("document.querySelector('.pr-camera video').videoWidth > 0", timeout=PATIENCE_MS)
    page.get_by_role("button", name="Take the photo").click()
    page.wait_for_function("document.querySelector('.pr-viewer').viewer.scene.name === 'camera.jpg'")
    wait_for(page, "#status", "Found .*person.*640 x 480")
    assert page.evaluate("document.querySelector('.pr-camera video').srcObject") is None  # the camera is off again


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("text.jpg", b"this is no photo", "text"),
        ("empty.jpg", b"", "empty"),
        ("cut.png", ASTRONAUT.read_bytes()[:20_000], "damaged|cut short"),
        ("many.png", png(8000, 8000), "64000000 pixels; at most 50000000 are accepted"),
    ],
)
def test_a_bad_file_is_said_and_the_last_result_stays(page, tmp_path, name, content, said):
    choose_astronaut(page)
    bad = tmp_path / name
    bad.write_bytes(content)
    good = tmp_path / "good.jpg"
    Image.open(ASTRONAUT).convert("RGB").resize((260, 260)).save(good)

    upload(page, bad)

    wait_for(page, "#alert", f"{name}: .*({said})")
    expect(page.locator("#found")).to_contain_text("person 1")
    assert look(page, "viewer.scene.example") == "astronaut"
    expect(page.locator("#photos button")).to_have_count(0)
    upload(page, bad, good)  # one bad photo never fails those beside it
    expect(page.locator("#photos button:enabled")).to_have_count(1, timeout=PATIENCE_MS)
    page.locator("#photos button").click()
    wait_for(page, "#status", "Found .*260 x 260")


def test_a_file_over_the_limit_is_refused_before_it_is_sent(page, tmp_path):
    big = tmp_path / "big.jpg"
    big.write_bytes(b"\xff\xd8" + bytes(ImageLimits().max_bytes))
    upload(page, big)
    wait_for(page, "#alert", "big.jpg: larger than 20 MB")
    choose_astronaut(page)  # the page is not stuck


def test_cancel_works_at_once(page, tmp_path):
    choose_astronaut(page)
    path = tmp_path / "large.jpg"
    Image.open(ASTRONAUT).convert("RGB").resize((6000, 6000)).save(path, quality=80)
    upload(page, path, path)
    page.locator("#cancel").click(timeout=PATIENCE_MS)
    expect(page.locator("#progress")).to_be_hidden()
    assert look(page, "viewer.scene.example") == "astronaut"
    expect(page.locator("#photos")).to_be_hidden()
    upload(page, ASTRONAUT)
    wait_for(page, "#status", "Found .*512 x 512")
    expect(page.locator("#photos button")).to_have_count(1)


def test_a_result_survives_a_reload_in_the_same_browser_only(page, browser, page_url, photo):
    upload(page, photo)
    wait_for(page, "#status", "Found .*300 x 300")
    identity = look(page, "viewer.scene.id")
    page.goto(page_url)
    page.reload()
    wait_for(page, "#status", "Found .*300 x 300")
    assert look(page, "viewer.scene.id") == identity
    kept = page.evaluate("localStorage.getItem('pointrend-results')")
    with visit(browser, page_url) as other:
        other.evaluate("(kept) => localStorage.setItem('pointrend-results', kept)", kept)
        other.reload()
        wait_for(other, "#status", "Found")
        expect(other.locator("#photos")).to_be_hidden()
        assert look(other, "viewer.scene.example")


def test_a_photo_is_segmented_again(page, photo):
    upload(page, photo)
    wait_for(page, "#status", "Found .*300 x 300")
    identity = look(page, "viewer.scene.id")
    page.locator("#again").click()
    page.wait_for_function(
        "(before) => { const {scene} = document.querySelector('.pr-viewer').viewer;"
        " return scene.id !== before && !scene.isPending }",
        arg=identity,
        timeout=PATIENCE_MS,
    )
    expect(page.locator("#photos button")).to_have_count(1)


def test_the_code_of_a_result_is_copied_with_one_click(page):
    choose_astronaut(page)
    page.locator("#code summary").click()
    wait_for(page, "#code pre", "curl .*astronaut.jpg")
    for clipboard in ("granted", "missing"):  # pages on a network without https have none
        if clipboard == "granted":
            page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        else:
            page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
        page.locator("#copy-code").click()
        expect(page.locator("#copy-code")).to_have_text("Copied")
        expect(page.locator("#copy-code")).to_have_text("Copy", timeout=PATIENCE_MS)
    for language in ("python", "javascript", "gradio_client"):
        page.locator("#code").get_by_role("radio", name=language).check()
        wait_for(page, "#code pre", "astronaut.jpg")


def added(page):
    """Wait until the result has an object of a drawn box, which is singled out; it."""
    page.wait_for_function(
        "() => { const {scene, choice} = document.querySelector('.pr-viewer').viewer;"
        " return scene.drawn > 0 && choice.chosen === scene.objects.length - 1 }",
        timeout=PATIENCE_MS,
    )
    return look(page, "viewer.scene.objects.at(-1)")


def test_a_box_that_is_drawn_gets_its_mask(page, tmp_path):
    choose_astronaut(page)
    before = look(page, "viewer.scene.objects.length")
    page.locator("#box").click()
    expect(page.locator("#box")).to_have_attribute("aria-pressed", "true")
    to_stage = "(([x, y, w, h]) => viewer.stage.view.toStage([x, y, w, h]))"
    corner = look(page, f"{to_stage}([170, 20, 130, 180])")  # her head
    stage = page.locator(".pr-stage").bounding_box()
    left, top = stage["x"] + corner["x"], stage["y"] + corner["y"]
    page.mouse.move(left, top)
    page.mouse.down()
    page.mouse.move(left + corner["width"] / 2, top + corner["height"] / 2)
    page.mouse.move(left + corner["width"], top + corner["height"])
    page.mouse.up()
    expect(page.locator("#box")).to_have_attribute("aria-pressed", "false")

    found = added(page)
    assert look(page, "viewer.scene.objects.length") == before + 1
    assert look(page, "viewer.scene.drawn") == 1
    x, y, width, height = found["bbox"]
    assert 165 <= x <= x + width <= 305
    assert 15 <= y <= y + height <= 205
    assert found["category"] == "object"  # the demo model names no box that it was given
    assert found["share"] > 0.5 * 130 * 180 / 512**2

    expect(page.locator("#photos button")).to_have_count(1)  # the visitor's own from now on
    coco = json.loads(saved(page, "coco", tmp_path).read_text())
    assert "object" in {category["name"] for category in coco["categories"]}
    page.locator("#code summary").click()
    wait_for(page, "#code pre", "curl ")
    expect(page.locator("#code p")).to_be_visible()
    assert "object" not in page.locator("#code pre").inner_text()


def test_a_box_is_drawn_by_keys_on_a_large_photo(page, tmp_path):
    large = tmp_path / "large.jpg"
    Image.open(ASTRONAUT).convert("RGB").resize((2560, 2560)).save(large)
    upload(page, large)
    wait_for(page, "#status", "Found .*2560 x 2560")
    page.locator("#box").click()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Shift+ArrowDown")
    box = look(page, "viewer.adding.tool.box")
    page.keyboard.press("Enter")
    found = added(page)
    assert 300 < box[0] < 340  # of 1280 shown pixels: the box begins in the middle half
    assert found["bbox"][0] >= box[0] - 2
    assert found["bbox"][1] >= box[1] - 2
    assert found["size"][0] > 1.5 * found["bbox"][2]  # the photo is larger than what is shown
    page.locator("#box").click()
    page.keyboard.press("Escape")
    expect(page.locator("#box")).to_have_attribute("aria-pressed", "false")
    assert look(page, "viewer.scene.drawn") == 1


def test_a_click_draws_no_box_and_another_photo_leaves_the_tool(page):
    choose_astronaut(page)
    page.locator("#box").click()
    page.locator(".pr-stage").click()
    assert look(page, "viewer.adding.tool.isOn")
    page.locator("#examples [data-key=coffee]").click()
    wait_for(page, "#status", "Found .*cup")
    assert not look(page, "viewer.adding.tool.isOn")
    assert look(page, "viewer.scene.drawn") == 0


def test_the_view_where_the_model_is_unsure(page, tmp_path):
    choose_astronaut(page)
    set_slider(page, "#opacity", 0)
    masks = drawn(page)
    page.locator("#view").get_by_role("radio", name="Where unsure").check()
    page.wait_for_function("() => document.querySelector('.pr-viewer').viewer.scene.doubts", timeout=PATIENCE_MS)
    page.locator("#progress").wait_for(state="hidden")
    unsure = drawn(page)
    assert look(page, "viewer.scene.doubts.length === viewer.scene.objects.length")
    colourful = unsure[..., :3].max(axis=2) - unsure[..., :3].min(axis=2) > 60
    assert 0.001 < colourful.mean() < 0.3 * (masks[..., 3] > 0).mean()  # along outlines, in a picture that is grey
    expect(page.locator("#unsure-note")).to_be_visible()

    saved_picture = np.asarray(Image.open(saved(page, "overlay", tmp_path)), dtype=int)
    assert saved_picture.shape == (512, 512, 3)
    assert 0.001 < (saved_picture.max(axis=2) - saved_picture.min(axis=2) > 60).mean() < 0.3
    page.locator("#view").get_by_role("radio", name="Masks").check()
    expect(page.locator("#unsure-note")).to_be_hidden()
