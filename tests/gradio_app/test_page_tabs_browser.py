"""The live tab and the explanation, the choice of a model, and a server that goes and comes back."""

import contextlib
import os
import re
import sys

import httpx
import pytest
from playwright.sync_api import expect

from pointrend.serving.archive import build
from pointrend.serving.torchserve import Ports, TorchServe
from pointrend.serving.up import Page as PageProcess
from pointrend.system.processes import free_ports
from pointrend.system.service import Service
from pointrend.weights.folder import ModelFolder
from tests.gradio_app.visits import (
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


def start_camera(page):
    open_tab(page, "Live")
    page.locator("#camera [title='grant webcam access']").click()
    page.locator("#camera button[aria-label='capture photo']").click(timeout=PATIENCE_MS)


def test_the_live_view_shows_masks_and_counts_frames(browser, page_url):
    with visit(browser, page_url) as page:
        start_camera(page)
        wait_for(page, "#live-status", r"[1-9]\d* found")
        first = address_of(page, "#live")
        assert picture_of(page, "#live").size == (320, 240)
        set_number(page, "#live-threshold", 0.05)
        wait_for(page, "#live-status", r"frames a second · ([3-9]|\d\d) found")
        wait_for_another_picture(page, "#live", first)


def test_every_step_of_the_refinement_is_shown(browser, page_url):
    with visit(browser, page_url) as page:
        open_tab(page, "How PointRend works")
        choose_example(page, 1, "#how-examples")  # with several objects
        wait_for(page, "#how-status", "Step 0, 7 x 7")
        seen = {address_of(page, "#how-picture")}
        for step, said in enumerate(("28 x 28.* 784 points", "56 x 56.* 784 points", "112 x 112.* 6%", "224 x 224"), 1):
            set_number(page, "#how-step", step)
            wait_for(page, "#how-status", said)
            seen.add(address_of(page, "#how-picture"))
        assert len(seen) == 5
        before = address_of(page, "#how-picture")
        page.locator("#how-points input").uncheck()
        wait_for_another_picture(page, "#how-picture", before)
        before = address_of(page, "#how-picture")
        page.locator("#how-object input").click()
        page.get_by_role("option").nth(1).click()
        wait_for_another_picture(page, "#how-picture", before)
        wait_for(page, "#how-comparison-text", "Drag the handle")
        expect(page.locator("#how-comparison img").first).to_be_visible(timeout=PATIENCE_MS)


def test_a_bad_file_is_said_in_the_explanation_too(browser, page_url, tmp_path):
    bad = tmp_path / "text.jpg"
    bad.write_bytes(b"this is no photo")
    with visit(browser, page_url) as page:
        open_tab(page, "How PointRend works")
        page.locator("#how-photo input[type=file]").first.set_input_files(bad)
        wait_for(page, "#how-status", "not an image that can be read")


def test_a_model_is_chosen_from_those_that_are_configured(browser, served, tmp_path):
    nobody, port = f"http://127.0.0.1:{free_ports(1)[0]}", free_ports(1)[0]
    url = f"http://127.0.0.1:{port}"
    servers = ["--server", f"Here={served.url}", "--server", f"Nowhere={nobody}"]
    (tmp_path / "page").mkdir()
    command = [sys.executable, "-m", "gradio_app", "--port", str(port), *servers]
    with Service("The page", command, tmp_path / "page", os.environ) as process:
        process.wait_until(lambda: answers(url), 60)
        with visit(browser, url) as page:
            wait_for(page, "#server-state", "Server ready")
            choose_astronaut(page)
            page.locator("#model input").click()
            page.get_by_role("option", name="Nowhere").click()
            wait_for(page, "#server-state", "Server down")
            page.locator("#segment").click()
            wait_for(page, "#status", re.escape(f"No server answers at {nobody}. Start one with: make run"))


def answers(url):
    try:
        return httpx.get(url, trust_env=False).is_success
    except httpx.TransportError:
        return False


def test_the_page_goes_on_when_the_server_was_killed_and_is_back(browser, tmp_path):
    build(ModelFolder.open("demo"), tmp_path)
    ports = Ports(*free_ports(6))
    with contextlib.ExitStack() as stack:
        with TorchServe(tmp_path, ports) as server:
            server.wait_ready()
            process = stack.enter_context(PageProcess(server.url, free_ports(1)[0]))
            process.wait_ready()
            page = stack.enter_context(visit(browser, process.url))
            choose_astronaut(page)
            start_camera(page)
            wait_for(page, "#live-status", r"[1-9]\d* found")

        wait_for(page, "#live-status", "No server answers .* resumes once it responds")
        wait_for(page, "#server-state", "Server down")
        open_tab(page, "Image")
        set_number(page, "#threshold", 0.85)  # needs no server: the result is kept
        wait_for(page, "#status", "Found 1 x person")
        page.locator("#segment").click()
        wait_for(page, "#status", "No server answers")

        server = stack.enter_context(TorchServe(tmp_path, ports))
        server.wait_ready()
        open_tab(page, "Live")
        wait_for(page, "#live-status", r"frames a second · [1-9]\d* found")
        wait_for(page, "#server-state", "Server ready")
        open_tab(page, "Image")
        page.locator("#segment").click()
        wait_for(page, "#status", "Found 1 x person")
