"""The tab for one photo as a person uses it: a real headless Chromium, a real TorchServe, a camera with a photo."""

import io
import json
import re
import zipfile

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect
from pycocotools import mask as coco_mask

from pointrend.images.decode import ImageLimits
from tests.gradio_app.visits import (
    ASTRONAUT,
    PATIENCE_MS,
    address_of,
    choose_astronaut,
    choose_example,
    open_tab,
    picture_of,
    set_number,
    visit,
    wait_for,
    wait_for_another_picture,
)

pytestmark = [pytest.mark.server, pytest.mark.browser]


@pytest.fixture
def page(browser, page_url):
    with visit(browser, page_url) as page:
        yield page


LOW = 0.12  # the demo model finds half of the astronaut once more, but is not sure of it at all


def show_uncertain_people(page):
    choose_astronaut(page)
    set_number(page, "#threshold", LOW)
    wait_for(page, "#found", "person 2")


def png(width, height):
    file = io.BytesIO()
    Image.new("1", (width, height)).save(file, "PNG")
    return file.getvalue()


def upload(page, path):
    page.locator("#photo input[type=file]").first.set_input_files(path)


def test_an_example_shows_masks_and_a_table(page):
    choose_astronaut(page)
    result = np.asarray(picture_of(page, "#result"), dtype=int)
    photo = np.asarray(Image.open(ASTRONAUT).convert("RGB"), dtype=int)
    changed = np.abs(result - photo).max(axis=2) > 40
    assert 0.3 < changed.mean() < 0.95
    expect(page.locator("#found")).to_contain_text("person 1")
    wait_for(page, "#server-state", "Server ready · pointrend-demo")
    wait_for(page, "#about", "finds .*person")
    expect(page.locator("#privacy")).to_contain_text("deleted within 11 minutes")


def test_threshold_opacity_and_filter_redraw(page):
    choose_astronaut(page)
    before = address_of(page, "#result")

    set_number(page, "#threshold", LOW)
    wait_for(page, "#found", "person 2")
    wait_for_another_picture(page, "#result", before)
    set_number(page, "#threshold", 0.85)
    wait_for(page, "#status", "Found 1 x person")
    expect(page.locator("#found")).not_to_contain_text("person 2")
    before = address_of(page, "#result")
    set_number(page, "#opacity", 0)
    wait_for_another_picture(page, "#result", before)
    page.locator("#categories").get_by_text("person").click()
    wait_for(page, "#status", "Nothing to show")


def test_an_object_is_singled_out_in_the_table_and_in_the_picture(page):
    show_uncertain_people(page)
    before = address_of(page, "#result")
    page.locator("#found").get_by_text("person 2", exact=True).click()
    wait_for(page, "#status", "person 2: .*Select it again")
    wait_for_another_picture(page, "#result", before)
    # The astronaut's face, in the middle of the upper half, is the best person's.
    box = page.locator("#result img").first.bounding_box()
    face = box["x"] + box["width"] * 0.45, box["y"] + box["height"] * 0.3
    before = address_of(page, "#result")
    page.mouse.click(*face)
    wait_for(page, "#status", "person 1: ")
    wait_for_another_picture(page, "#result", before)
    page.mouse.click(*face)
    wait_for(page, "#status", "Found")


def test_every_view_shows_something_else(page):
    show_uncertain_people(page)
    seen = [address_of(page, "#result")]
    for name in ("Boxes", "Semantic map"):
        page.locator("#view").get_by_text(name).click()
        wait_for_another_picture(page, "#result", seen[-1])
        seen.append(address_of(page, "#result"))
    assert len(set(seen)) == 3
    page.locator("#view").get_by_text("Cut-outs").click()
    expect(page.locator("#cutouts img").first).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("#result")).to_be_hidden()
    assert page.locator("#cutouts img").count() >= 2
    page.locator("#view").get_by_text("Masks").click()
    expect(page.locator("#result img").first).to_be_visible(timeout=PATIENCE_MS)


def test_the_downloads_hold_what_is_shown(page, tmp_path):
    show_uncertain_people(page)
    counts = re.findall(r"(\d+) x [a-z]", page.locator("#status").inner_text())
    shown = sum(map(int, counts))

    def saved(kind):
        with page.expect_download(timeout=PATIENCE_MS) as download:
            page.locator(f"#save-{kind}").click()
        path = tmp_path / download.value.suggested_filename
        download.value.save_as(path)
        return path

    overlay = saved("overlay")
    assert overlay.name == "astronaut-overlay.png"
    with Image.open(overlay) as picture:
        assert (picture.format, picture.size) == ("PNG", (512, 512))
    coco = json.loads(saved("coco").read_text())
    assert len(coco["annotations"]) == shown >= 2
    assert coco["images"][0]["file_name"] == "astronaut.png"
    assert {category["name"] for category in coco["categories"]} > {"person", "dog"}
    decoded = coco_mask.decode(coco["annotations"][0]["segmentation"])
    assert decoded.sum() == coco["annotations"][0]["area"]
    labelme = json.loads(saved("labelme").read_text())
    assert {shape["group_id"] for shape in labelme["shapes"]} == set(range(1, shown + 1))
    assert labelme["shapes"][0]["label"] == "person"
    with zipfile.ZipFile(saved("masks")) as masks:
        assert len(masks.namelist()) == shown
        assert {"person-1.png", "person-2.png"} <= set(masks.namelist())
        with masks.open("person-1.png") as file:
            assert (np.asarray(Image.open(file)) > 0).sum() == decoded.sum()
    with zipfile.ZipFile(saved("cutouts")) as cut, cut.open("person-2.png") as file:
        assert Image.open(file).mode == "RGBA"


def test_saving_before_anything_is_there_says_so(page):
    page.locator("#save-coco").click()
    expect(page.get_by_text("Nothing to save yet")).to_be_visible(timeout=PATIENCE_MS)


def test_an_upload_runs_by_itself_and_can_be_cleared(page, tmp_path):
    photo = tmp_path / "photo.jpg"
    Image.open(ASTRONAUT).convert("RGB").resize((300, 300)).save(photo)
    upload(page, photo)
    wait_for(page, "#status", "Found .*300 x 300")
    assert picture_of(page, "#result").size == (300, 300)
    page.locator("#photo button[aria-label='Remove Image'], #photo button[aria-label='Clear']").first.click()
    wait_for(page, "#status", "Choose an image")
    expect(page.locator("#found")).not_to_contain_text("person 1")


def test_twenty_megapixels_are_sent_whole_and_shown_scaled(page, tmp_path):
    photo = tmp_path / "large.jpg"
    Image.open(ASTRONAUT).convert("RGB").resize((4480, 4480)).save(photo, quality=80)
    upload(page, photo)
    wait_for(page, "#status", "Found .*4480 x 4480")
    assert picture_of(page, "#result").size == (1280, 1280)
    with page.expect_download(timeout=PATIENCE_MS) as download:
        page.locator("#save-overlay").click()
    download.value.save_as(tmp_path / "overlay.png")
    with Image.open(tmp_path / "overlay.png") as picture:
        assert picture.size == (4480, 4480)


def test_a_webcam_snapshot_is_segmented(page):
    page.locator('#photo button[aria-label="Capture from camera"]').click()
    page.locator('#photo [title="grant webcam access"]').click()
    page.locator('#photo button[aria-label="capture photo"]').click(timeout=PATIENCE_MS)
    wait_for(page, "#status", "Found .*person")
    assert picture_of(page, "#result").width > 0


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("text.jpg", b"this is no photo", "not an image that can be read"),
        ("empty.jpg", b"", "empty"),
        ("cut.png", ASTRONAUT.read_bytes()[:20_000], "it is damaged, or was cut short"),
        ("many.png", png(8000, 8000), "64000000 pixels; at most 50000000 are accepted"),
    ],
)
def test_a_bad_file_is_said_and_the_last_result_stays(page, tmp_path, name, content, said):
    choose_astronaut(page)
    bad = tmp_path / name
    bad.write_bytes(content)

    upload(page, bad)

    wait_for(page, "#status", said)
    expect(page.get_by_test_id("toast-body").get_by_text(re.compile(said)).first).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("#found")).to_contain_text("person 1")
    assert picture_of(page, "#result").size == (512, 512)
    choose_example(page, 2)  # the page is not stuck
    wait_for(page, "#status", "(Found|Nothing).*")
    expect(page.locator("#status")).not_to_contain_text(re.compile(said))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1280, 950), (390, 844)], ids=["desktop", "phone"])
def test_the_layout_fits_the_screen(browser, page_url, width, height, theme):
    with visit(browser, page_url, width, height, color_scheme=theme) as page:
        choose_astronaut(page)
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", background)[:3])) < 200) == (theme == "dark")
        for name in ("Image", "Live", "How PointRend works"):
            open_tab(page, name)
            assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_file_over_the_limit_is_refused_before_it_is_sent(page, tmp_path):
    big = tmp_path / "big.jpg"
    big.write_bytes(b"\xff\xd8" + bytes(ImageLimits().max_bytes))

    page.locator("#photo input[type=file]").set_input_files(big)

    said = page.get_by_test_id("toast-body").get_by_text(re.compile(r"maximum allowed size of 20\.0 Mb.*big\.jpg"))
    expect(said.first).to_be_visible(timeout=PATIENCE_MS)
    choose_astronaut(page)  # the page is not stuck
