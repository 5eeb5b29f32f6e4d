"""axe-core on every tab, light and dark, and the keyboard."""

from pathlib import Path

import axe_playwright_python
import pytest
from playwright.sync_api import expect

from tests.gradio_app.visits import PATIENCE_MS, look, open_tab, visit, wait_for

pytestmark = [pytest.mark.server, pytest.mark.browser]

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


def complaints(page):
    """What axe finds that is serious or critical, a line each. A tab that is still coming is looked at again."""
    for _ in range(PATIENCE_MS // 1000):
        found = look_once(page)
        if not found:
            break
        page.wait_for_timeout(1000)
    return found


def look_once(page):
    return [
        f"{violation['id']}: {node['html'][:120]} {node['failureSummary'][:300]}"
        for violation in page.evaluate("axe.run()")["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_serious(browser, page_url, width, theme):
    with visit(browser, page_url, width, 844, color_scheme=theme, reduced_motion="reduce") as page:
        wait_for(page, "#status", "Found")
        page.evaluate(AXE)
        page.locator("#view").get_by_role("radio", name="Cut-outs").check()
        page.locator("#compare").click()
        page.locator("#code summary").click()
        wait_for(page, "#code pre", "curl")
        assert complaints(page) == []
        page.locator("#found .pr-name").first.click()  # corrections are offered
        assert complaints(page) == []
        open_tab(page, "Live")
        assert complaints(page) == []
        open_tab(page, "How PointRend works")
        wait_for(page, "#how-status", "7 x 7")
        assert complaints(page) == []
        open_tab(page, "Video")
        assert complaints(page) == []


def test_everything_of_the_image_tab_is_reached_by_keyboard(browser, page_url):
    with visit(browser, page_url) as page:
        wait_for(page, "#status", "Found")
        page.locator("#found .pr-name").first.press("Enter")  # what corrects an object is there once one is selected
        wait_for(page, "#status", "Select it again")
        page.get_by_role("tab", name="Image").focus()
        reached = []
        for _ in range(100):
            page.keyboard.press("Tab")
            name = page.evaluate(
                "() => { const e = document.activeElement; return e.id || e.className || e.getAttribute('aria-label') }"
            )
            reached.append(str(name))
        for wanted in (
            "pr-stage",
            "pr-name",
            "pr-eye",
            "edit-category",
            "edit-delete",
            "threshold",
            "opacity",
            "snapshot",
            "again",
            "compare",
            "save-coco",
        ):
            assert any(wanted in name for name in reached), (wanted, reached)
        page.locator("#examples button").nth(1).press("Enter")
        expect(page.locator("#status")).to_contain_text("Found", timeout=PATIENCE_MS)


def test_targets_are_large_enough_for_a_finger(browser, page_url):
    with visit(browser, page_url, 390, 844, has_touch=True, is_mobile=True) as page:
        wait_for(page, "#status", "Found")
        page.locator("#found .pr-name").first.tap()
        small = page.evaluate(
            """() => [...document.querySelectorAll(":is(button, summary, input, label:has(*)):not(.pr-unseen)")]
                .filter((element) => element.closest(".pr-viewer"))
                .filter((element) => element.offsetParent && !element.closest("[hidden]"))
                .filter((element) => element.type !== "checkbox")  // its label is pressed as well
                .map((element) => [element.outerHTML.slice(0, 90), element.getBoundingClientRect()])
                .filter(([, box]) => box.width < 24 || box.height < 24)
                .map(([html, box]) => `${html} ${box.width} x ${box.height}`)"""
        )
        assert small == []
        assert look(page, "viewer.stage.element.style.touchAction") == "pan-y"  # a finger still scrolls the page
