"""Results corrected on the page: a real headless Chromium, a real TorchServe."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import expect

from tests.gradio_app.visits import PATIENCE_MS, choose_astronaut, look, set_slider, visit, wait_for

pytestmark = [pytest.mark.server, pytest.mark.browser]


def labels(page):
    return look(page, "viewer.scene.objects.map(({label}) => label)")


def edited(page, count):
    """Wait until the result has so many corrections."""
    page.wait_for_function(
        "count => { const {scene, jobs} = document.querySelector('.pr-viewer').viewer;"
        " return !jobs.current && scene.edits === count }",
        arg=count,
        timeout=PATIENCE_MS,
    )


def coco(page, tmp_path):
    with page.expect_download() as download:
        page.locator("#save-coco").click()
    path = tmp_path / "coco.json"
    download.value.save_as(path)
    return json.loads(path.read_text())


def several_people(page):
    choose_astronaut(page)
    set_slider(page, "#threshold", 0.05)  # the demo model finds parts of the astronaut once more, but is not sure
    wait_for(page, "#found", "person 2")
    return labels(page)


def test_objects_are_merged_renamed_and_deleted_and_all_is_undone(page, tmp_path):
    before = several_people(page)
    share = look(page, "viewer.scene.objects[0].share")
    expect(page.locator("#edits")).to_contain_text("Something wrong? Select objects to correct them.")
    expect(page.locator("#edit-merge")).to_be_hidden()
    page.locator("#found").get_by_label("Select person 1").check()
    expect(page.locator("#edits")).to_contain_text("Correct person 1")
    page.locator("#edit-merge").click(force=True)  # it says what it needs
    wait_for(page, "#edit-note", "Select two objects or more to merge: check them")
    page.locator("#found li .pr-name").filter(has_text="person 2").click(modifiers=["Control"])
    expect(page.locator("#edits")).to_contain_text("Correct 2 objects")
    page.locator("#edit-merge").click()
    edited(page, 1)
    wait_for(page, "#edit-note", "Merged person 1 and person 2.")
    assert len(labels(page)) == len(before) - 1
    assert look(page, "viewer.scene.objects[0].share") >= share
    expect(page.locator("#photos button")).to_have_count(1)  # the visitor's own from now on

    page.locator("#edit-category").select_option("dog")
    page.locator("#edit-rename").click()
    edited(page, 2)
    assert look(page, "viewer.scene.objects[0].label") == "dog 1"
    wait_for(page, "#found", "dog 1")
    page.locator("#code summary").click()
    expect(page.locator("#code p")).to_contain_text("It leaves out your corrections", timeout=PATIENCE_MS)
    tree = coco(page, tmp_path)
    names = {each["id"]: each["name"] for each in tree["categories"]}
    assert "dog" in {names[each["category_id"]] for each in tree["annotations"]}

    rows = page.locator("#found li")
    count = rows.count()
    rows.first.locator(".pr-name").focus()
    page.keyboard.press("Delete")
    edited(page, 3)
    expect(rows).to_have_count(count - 1)
    expect(rows.first.locator(".pr-name")).to_be_focused()
    assert len(coco(page, tmp_path)["annotations"]) == len(tree["annotations"]) - 1
    rows.first.locator(".pr-name").focus()  # the download's button has it
    page.keyboard.press("Control+z")
    edited(page, 2)
    page.reload()  # it is still there, once
    wait_for(page, "#found", "dog 1")
    expect(page.locator("#photos button")).to_have_count(1)
    for left in (1, 0):
        page.locator("#edit-undo").click()
        edited(page, left)
    assert labels(page) == before
    expect(page.locator("#edit-undo")).to_be_hidden()  # and the keyboard goes on in the list
    expect(rows.first.locator(".pr-name")).to_be_focused()


def test_what_cannot_be_split_says_so_and_what_was_hidden_stays_so(page):
    several_people(page)
    page.locator("#found li").filter(has_text="person 2").locator(".pr-eye").click()
    page.locator("#found li").filter(has_text="person 1").get_by_label("Select").check()
    page.locator("#edit-split").click()
    wait_for(page, "#alert", "'person 1' has one connected part, so there is nothing to split")
    page.locator("#edit-delete").click()
    edited(page, 1)
    assert look(page, "[...viewer.scene.hidden].map((index) => viewer.scene.objects[index].label)") == ["person 1"]


def test_an_object_of_several_parts_is_split_and_exported_in_parts(page, tmp_path):
    page.locator("#examples [data-key=wine]").click()
    wait_for(page, "#status", "Found .*wine glass")
    before = labels(page)
    for name in ("bottle 1", "wine glass 1"):
        page.locator("#found").get_by_label(f"Select {name}").check()
    page.locator("#edit-merge").click()
    edited(page, 1)
    assert len(labels(page)) == len(before) - 1
    merged = coco(page, tmp_path)["annotations"]
    page.locator("#found li .pr-name").filter(has_text="bottle 1").click()
    page.locator("#edit-split").click()
    edited(page, 2)
    wait_for(page, "#edit-note", "Split bottle 1.")
    parts = coco(page, tmp_path)["annotations"]
    assert len(parts) > len(merged)
    assert sum(each["area"] for each in parts) == sum(each["area"] for each in merged)
    page.locator("#edit-undo").click()
    edited(page, 1)
    assert [each["area"] for each in coco(page, tmp_path)["annotations"]] == [each["area"] for each in merged]


def test_another_visitors_example_is_as_the_model_found_it(browser, page, page_url):
    before = several_people(page)
    page.locator("#found li .pr-name").first.click()
    page.locator("#edit-delete").click()
    edited(page, 1)
    with visit(browser, page_url) as other:
        assert several_people(other) == before


def test_corrections_are_within_reach_on_a_phone(browser, page_url):
    with visit(browser, page_url, 390, 844, has_touch=True, is_mobile=True) as page:
        several_people(page)
        page.locator("#found").get_by_label("Select person 1").tap()
        for name in ("delete", "merge", "split", "undo", "rename", "category"):
            box = page.locator(f"#edit-{name}").bounding_box()
            assert 0 <= box["x"] <= box["x"] + box["width"] <= 390
            assert box["height"] >= 32
        page.locator("#edit-delete").tap()
        edited(page, 1)
