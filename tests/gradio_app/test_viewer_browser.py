"""What is seen of a result and how it is looked at: a real headless Chromium, a real TorchServe."""

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.gradio_app.visits import (
    PATIENCE_MS,
    choose_astronaut,
    drawn,
    look,
    open_tab,
    place_of,
    set_slider,
    visit,
    wait_for,
)

pytestmark = [pytest.mark.server, pytest.mark.browser]


def show_uncertain_people(page):
    choose_astronaut(page)
    set_slider(page, "#threshold", 0.05)  # the demo model finds parts of the astronaut once more, but is not sure
    wait_for(page, "#found", "person 2")


def choose_view(page, name):
    page.locator("#view").get_by_role("radio", name=name).check()


def test_the_page_opens_with_an_example_already_segmented(page, browser, page_url):
    wait_for(page, "#status", r"Found .*\d+ x \d+ pixels")
    assert page.locator("#found li").count() >= 2
    expect(page.locator("#examples [aria-current=true]")).to_have_count(1)
    assert look(page, "viewer.scene.example") == look(page, "viewer.props.first.example")
    seconds = look(page, "viewer.scene.seconds")
    with visit(browser, page_url) as other:  # it was found once, for everybody
        wait_for(other, "#status", r"Found .*\d+ x \d+ pixels")
        assert look(other, "viewer.scene.seconds") == seconds
    wait_for(page, "#server-state", "Server ready · pointrend-demo")
    wait_for(page, "#about", "finds .*person")
    expect(page.locator("#privacy")).to_contain_text("deleted within 11 minutes")


def test_the_first_picture_and_the_gallery_are_above_the_fold(browser, page_url):
    for width, height in ((1280, 720), (390, 844)):
        with visit(browser, page_url, width, height) as page:
            wait_for(page, "#status", "Found")
            for locator in (".pr-stage", "#examples"):
                box = page.locator(locator).bounding_box()
                assert box["y"] >= 0
                assert box["y"] + box["height"] <= height


def test_looking_asks_the_server_nothing(page):
    show_uncertain_people(page)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    pictures = [drawn(page)]
    for change in (
        lambda: set_slider(page, "#opacity", 0.9),
        lambda: page.mouse.move(*place_of(page, 0.45, 0.3)),
        lambda: page.mouse.click(*place_of(page, 0.45, 0.3)),
        lambda: choose_view(page, "Boxes"),
        lambda: choose_view(page, "Semantic map"),
        lambda: choose_view(page, "Cut-outs"),
        lambda: page.get_by_role("radio", name="Blur").check(),
        lambda: page.get_by_role("radio", name="Grey").check(),
        lambda: page.get_by_role("radio", name="Colour").check(),
        lambda: page.locator("#compare").click(),
        lambda: page.locator(".pr-zoom").get_by_role("button", name="Zoom in").click(),
    ):
        change()
        pictures.append(drawn(page))
        assert (pictures[-1] != pictures[-2]).any()
    ticks = (
        "/queue/",
        "/run/",
        "heartbeat",
    )  # the state of the server is asked for every few seconds, whatever is looked at
    assert [
        url for url in asked if not url.startswith(("data:", "blob:")) and not any(map(url.__contains__, ticks))
    ] == []


def test_threshold_and_categories_decide_what_is_listed(page):
    choose_astronaut(page)
    expect(page.locator("#more")).to_contain_text(re.compile(r"\d+ hidden: .*%"))
    page.locator("#more").click()
    wait_for(page, "#found", "person 2")
    set_slider(page, "#threshold", 0.85)
    wait_for(page, "#status", "Found 1 x person")
    expect(page.locator("#found li")).to_have_count(1)
    page.locator("#categories").get_by_text("person").click()
    wait_for(page, "#status", "Nothing to show")
    wait_for(page, "#more", "person 1 9")
    page.locator("#more").click()
    wait_for(page, "#found", "person 1")


def test_row_and_object_select_each_other(page):
    show_uncertain_people(page)
    row = page.locator("#found li").filter(has_text="person 2")
    row.hover()
    assert look(page, "viewer.scene.objects[viewer.choice.hovered].label") == "person 2"
    row.locator(".pr-name").click()
    wait_for(page, "#status", "person 2: .*Select it again")
    page.mouse.move(*place_of(page, 0.45, 0.3))  # the face is the best person's
    expect(page.locator("#found li.pr-hovered")).to_contain_text("person 1")
    before = drawn(page)
    page.mouse.click(*place_of(page, 0.45, 0.3))
    wait_for(page, "#status", "person 1: ")
    expect(page.locator("#found li.pr-chosen")).to_contain_text("person 1")
    assert (drawn(page) != before).any()
    page.mouse.click(*place_of(page, 0.45, 0.3))
    wait_for(page, "#status", "Found")


def test_an_eye_hides_its_object(page):
    choose_astronaut(page)
    before = drawn(page)
    page.locator("#found .pr-eye").first.click()
    wait_for(page, "#status", "Nothing to show")
    assert (drawn(page) != before).any()
    expect(page.locator("#found .pr-eye").first).to_have_attribute("aria-pressed", "false")
    page.locator("#found .pr-eye").first.press("Enter")  # the keyboard does it too, and the focus has stayed
    wait_for(page, "#status", "Found 1 x person")


def test_labels_lie_over_no_other(page):
    page.locator("#examples [data-key=motorcycle]").click()
    wait_for(page, "#status", "Found .*motorcycle")
    set_slider(page, "#threshold", 0.05)
    drawn(page)
    places = [each["place"] for each in look(page, "viewer.stage.labels") if each["place"]]
    assert len(places) >= 4
    for index, a in enumerate(places):
        for b in places[:index]:
            assert (
                a["x"] >= b["x"] + b["width"]
                or b["x"] >= a["x"] + a["width"]
                or a["y"] >= b["y"] + b["height"]
                or b["y"] >= a["y"] + a["height"]
            )
    page.locator("#labels").get_by_role("radio", name="Off").check()
    drawn(page)
    assert look(page, "viewer.stage.labels.length") == 0
    page.locator("#labels").get_by_role("radio", name="On hover").check()
    page.locator("#found li").nth(1).hover()
    drawn(page)
    assert look(page, "viewer.stage.labels.length") == 1


def test_the_wheel_and_keys_zoom_and_drag_pans(page):
    choose_astronaut(page)
    whole = look(page, "viewer.stage.view.scale")
    x, y = place_of(page, 0.3, 0.4)
    page.mouse.move(x, y)
    page.mouse.wheel(0, -600)
    page.wait_for_function(
        "before => document.querySelector('.pr-viewer').viewer.stage.view.scale > 1.5 * before", arg=whole
    )
    assert np.allclose(place_of(page, 0.3, 0.4), (x, y), atol=1)  # what is under the pointer stays there
    page.mouse.down()
    page.mouse.move(x + 40, y + 30, steps=4)
    page.mouse.up()
    assert np.allclose(place_of(page, 0.3, 0.4), (x + 40, y + 30), atol=2)
    expect(page.locator("#status")).to_contain_text("Found")  # a drag chooses nothing
    page.locator(".pr-stage").focus()
    page.keyboard.press("0")
    assert look(page, "viewer.stage.view.scale") == pytest.approx(whole)
    page.keyboard.press("+")
    assert look(page, "viewer.stage.view.scale") == pytest.approx(1.5 * whole)


def test_two_fingers_zoom(browser, page_url):
    with visit(browser, page_url, 390, 844, has_touch=True, is_mobile=True) as page:
        wait_for(page, "#status", "Found")
        session = page.context.new_cdp_session(page)
        x, y = place_of(page, 0.5, 0.5)

        def touch(kind, gap):
            points = [{"x": x - gap, "y": y, "id": 1}, {"x": x + gap, "y": y, "id": 2}] if gap else []
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        touch("touchStart", 30)
        for gap in (40, 60, 90):
            touch("touchMove", gap)
        touch("touchEnd", 0)
        assert look(page, "viewer.stage.view.zoom") == pytest.approx(3, rel=0.2)


def test_small_photos_are_shown_large_and_the_divider_shows_the_photo(page):
    choose_astronaut(page)
    view = look(page, "({scale: viewer.stage.view.scale, ...viewer.stage.view.stage})")
    assert view["scale"] * 512 == pytest.approx(min(view["width"], view["height"]))
    masked = drawn(page)
    page.locator("#compare").click()
    expect(page.locator("#compare")).to_have_attribute("aria-pressed", "true")
    page.locator(".pr-divider").fill("1000")
    plain = drawn(page)
    set_slider(page, "#opacity", 0)
    page.locator(".pr-divider").fill("0")
    outlined = drawn(page)
    changed = [(np.abs(picture - plain).max(axis=2) > 30).mean() for picture in (masked, outlined)]
    assert changed[0] > 0.08 > changed[1] > 0


def test_tabs_and_examples_have_links(browser, page_url):
    with visit(browser, page_url) as page:
        page.goto(f"{page_url}/#image/coffee")
        page.reload()
        wait_for(page, "#status", "Found .*cup")
        open_tab(page, "Live")
        assert page.url.endswith("#live")
        page.go_back()
        expect(page.get_by_role("tab", name="Image")).to_have_attribute("aria-selected", "true", timeout=PATIENCE_MS)
        assert page.url.endswith("#image/coffee")
        page.locator("#examples [data-key=dogs]").click()
        assert page.url.endswith("#image/dogs")
        wait_for(page, "#status", "Found .*dog")
        page.go_back()
        wait_for(page, "#status", "Found .*cup")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1440, 900), (1280, 720), (390, 844)])
def test_the_layout_fits_the_screen(browser, page_url, width, height, theme):
    with visit(browser, page_url, width, height, color_scheme=theme) as page:
        choose_astronaut(page)
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", background)[:3])) < 200) == (theme == "dark")
        for name in ("Image", "Live", "How PointRend works", "Video"):
            open_tab(page, name)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
