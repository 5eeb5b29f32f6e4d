"""The live tab and the explanation, the choice of a model, and a server that goes and comes back."""

import contextlib
import json
import os
import re
import sys
from pathlib import Path

import httpx
import pytest
from PIL import Image
from playwright.sync_api import expect

from pointrend.serving.archive import build
from pointrend.serving.page_process import Page as PageProcess
from pointrend.serving.torchserve import Ports, TorchServe
from pointrend.system.service import Service
from pointrend.weights.folder import ModelFolder
from tests.gradio_app.visits import (
    ASTRONAUT,
    PATIENCE_MS,
    choose_astronaut,
    open_tab,
    set_slider,
    upload,
    visit,
    wait_for,
)
from tests.ports import free_ports
from tests.video.clips import moving, photo, read_clip, sound_packets, squares, write_clip

pytestmark = [pytest.mark.server, pytest.mark.browser]


PAINTED = """(place) => {
    const canvas = document.querySelector(place);
    const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return data.filter((value, index) => index % 4 === 3 && value > 0).length / (canvas.width * canvas.height);
}"""
PICTURE = "(place) => document.querySelector(place).toDataURL()"


def start_camera(page):
    open_tab(page, "Live")
    page.locator("#live-toggle").click()


def test_the_live_view_draws_masks_over_the_cameras_picture(browser, page_url):
    with visit(browser, page_url) as page:
        start_camera(page)
        expect(page.locator("#live-toggle")).to_have_text("Stop")
        wait_for(page, "#live-status", r"[1-9]\d* found · \d+ ms on the server")
        assert page.locator("#live-view video").evaluate("video => [video.videoWidth, video.videoHeight]") == [640, 480]
        assert 0.15 < page.evaluate(PAINTED, "#live-view canvas") < 0.9
        page.locator("#live-threshold").fill("0.05")
        wait_for(page, "#live-status", r"(frames a second|A frame every \d+ s) · ([3-9]|\d\d) found")
        page.locator("#live-toggle").click()
        expect(page.locator("#live-status")).to_have_text("The camera is off.")
        expect(page.locator("#live-toggle")).to_have_text("Start")
        assert page.evaluate(PAINTED, "#live-view canvas") == 0
        assert page.locator("#live-view video").evaluate("video => video.srcObject") is None
        page.locator("#live-toggle").click()  # and once more
        wait_for(page, "#live-status", r"[1-9]\d* found")


def test_the_live_view_pauses_out_of_sight_and_stops_in_time(browser, page_url):
    with visit(browser, page_url) as page:
        start_camera(page)
        wait_for(page, "#live-status", r"[1-9]\d* found")
        open_tab(page, "Image")
        wait_for(page, "#live-status", "Paused while the live view is out of sight.")
        open_tab(page, "Live")
        wait_for(page, "#live-status", r"[1-9]\d* found")
        page.evaluate("() => { const now = performance.now(); performance.now = () => now + 601000; }")
        wait_for(page, "#live-status", "Stopped after 10 minutes. Press Start to go on. The camera is off.")
        expect(page.locator("#live-toggle")).to_have_text("Start")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("NotAllowedError", "The camera was refused. Allow it in the browser's settings"),
        ("NotFoundError", "No camera was found."),
        ("NotReadableError", "in use by another program"),
        ("AbortError", "The camera cannot be used: no reason"),
    ],
)
def test_a_camera_that_cannot_be_used_is_said(browser, page_url, name, said):
    with visit(browser, page_url) as page:
        refuse = "async () => { throw new DOMException('no reason', name); }"
        page.evaluate(f"(name) => {{ navigator.mediaDevices.getUserMedia = {refuse}; }}", name)
        start_camera(page)
        wait_for(page, "#live-status", f"{said}.*The camera is off.")
        expect(page.locator("#live-toggle")).to_have_text("Start")


def test_a_camera_that_is_taken_away_is_said(browser, page_url):
    with visit(browser, page_url) as page:
        start_camera(page)
        wait_for(page, "#live-status", r"[1-9]\d* found")
        # A browser tells it so when the camera is unplugged, or its permission withdrawn.
        page.locator("#live-view video").evaluate(
            "video => video.srcObject.getTracks()[0].dispatchEvent(new Event('ended'))"
        )
        wait_for(page, "#live-status", "The camera was disconnected. .* The camera is off.")


def start_video(page, file):
    """Start a video. One address may start three in a row, as many as the tests here do."""
    open_tab(page, "Video")
    page.locator("#video-upload input[type=file]").set_input_files(file)
    expect(page.locator("#video-upload")).to_contain_text(file.stem, timeout=PATIENCE_MS)
    page.locator("#video-start").click()


def test_the_objects_of_a_video_are_followed(browser, page_url, tmp_path):
    """A clip of the astronaut who moves: the new one plays, and its lines are there."""
    ground = photo("coffee.jpg", (160, 120))
    man = Image.open(ASTRONAUT).convert("RGBA").resize((120, 120))
    clip = write_clip(tmp_path / "walk.mp4", moving(ground, 12, [(man, lambda index: (3 * index, 0))]), sound="aac")
    with visit(browser, page_url) as page:
        start_video(page, clip)
        wait_for(page, "#video-status", r"[1-9] objects? followed through 12 frames\.")
        video = page.locator("#video-result video")
        if video.evaluate("video => video.canPlayType('video/mp4; codecs=\"avc1.42E01E\"')"):  # some Chromium builds
            page.wait_for_function("() => document.querySelector('#video-result video').readyState >= 2")
            assert video.evaluate("video => [video.videoWidth, video.videoHeight]") == [160, 120]
        with page.expect_download() as saved:
            page.locator("#video-result a[download], #video-result button[aria-label=Download]").first.click()
        assert saved.value.suggested_filename == "walk-masks.mp4"
        (tmp_path / "masks.mp4").write_bytes(Path(saved.value.path()).read_bytes())
        times, drawn = read_clip(tmp_path / "masks.mp4")
        assert (len(times), drawn[0].shape) == (12, (120, 160, 3))
        assert sound_packets(tmp_path / "masks.mp4") == sound_packets(clip)
        with page.expect_download() as saved:
            page.locator("#video-lines a").first.click()
        header, *frames, summary = map(json.loads, Path(saved.value.path()).read_text().splitlines())
        assert saved.value.suggested_filename == "walk-masks.mp4.jsonl"
        assert header["video"]["file"] == "walk.mp4"
        assert {each["category"]: each["track_id"] for each in frames[5]["instances"]}["person"] >= 1
        assert summary["summary"]["frames"] == len(frames) == 12


def test_a_video_that_cannot_be_taken_is_told_and_one_is_cancelled(browser, page_url, tmp_path):
    with visit(browser, page_url) as page:
        playlist = tmp_path / "list.mp4"
        playlist.write_text("#EXTM3U\n#EXTINF:10,\n/etc/passwd\n#EXT-X-ENDLIST\n")
        start_video(page, playlist)
        wait_for(page, "#video-status", r"list\.mp4 is no video that can be read")
    with visit(browser, page_url) as page:
        frames = squares(400, {"red": lambda index: (index % 80, 10)})
        start_video(page, write_clip(tmp_path / "long.mp4", frames, [index * 4500 for index in range(400)]))
        wait_for(page, "#video-status", r"Frame \d+ of 400")
        page.locator("#video-cancel").click()
        wait_for(page, "#video-status", r"Cancelled\.")
        page.wait_for_timeout(1500)
        expect(page.locator("#video-status")).to_contain_text("Cancelled.")


def test_every_step_of_the_refinement_is_shown(browser, page_url):
    with visit(browser, page_url) as page:
        open_tab(page, "How PointRend works")
        wait_for(page, "#how-status", "7 x 7: the coarse head")  # of the first example, without a click
        page.get_by_role("button", name="Coffee").last.click()  # with several objects
        wait_for(page, "#how .note", r"with all [2-9] objects")
        expect(page.locator("#how-numbers tbody tr")).to_have_count(6)
        seen = {page.evaluate(PICTURE, "#how-picture")}
        details = {page.evaluate(PICTURE, "#how-detail")}
        slider = page.locator("#how-step")
        for side, said in ((28, "784 points, one a cell"), (56, "784 points"), (112, "6%"), (224, "least certain")):
            slider.press("ArrowRight")
            wait_for(page, "#how-status", f"{side} x {side}: .*{said}")
            expect(slider).to_have_attribute("aria-valuetext", f"{side} x {side}")
            expect(page.locator("#how-numbers tr.current th")).to_have_text(f"{side} x {side}")
            page.wait_for_timeout(500)  # it fades in
            seen.add(page.evaluate(PICTURE, "#how-picture"))
            details.add(page.evaluate(PICTURE, "#how-detail"))
        assert len(seen) == len(details) == 5
        expect(page.locator("#how-numbers tr.current td").first).to_have_text("1.000")
        before = page.evaluate(PICTURE, "#how-picture")
        page.locator("#how-points").uncheck()
        assert page.evaluate(PICTURE, "#how-picture") != before
        before = page.evaluate(PICTURE, "#how-comparison")
        page.locator("#how-divider").press("ArrowLeft")
        assert page.evaluate(PICTURE, "#how-comparison") != before
        name = page.locator("#how-picture").get_attribute("aria-label")
        page.locator("#how-object input").click()
        page.get_by_role("option").nth(1).click()
        expect(page.locator("#how-picture")).not_to_have_attribute("aria-label", name, timeout=PATIENCE_MS)
        expect(page.locator("#how-numbers tbody tr")).to_have_count(6)


def test_the_refinement_is_played_and_paused_on_a_phone_too(browser, page_url):
    with visit(browser, page_url, width=390, height=844, reduced_motion="reduce") as page:
        open_tab(page, "How PointRend works")
        wait_for(page, "#how-status", "7 x 7: the coarse head")
        play = page.locator("#how-play")
        play.click()
        expect(play).to_have_text("Pause")
        wait_for(page, "#how-status", "^28 x 28")
        play.click()
        expect(play).to_have_text("Play")
        page.get_by_role("button", name="Previous step").click()
        wait_for(page, "#how-status", "^7 x 7")
        play.click()
        wait_for(page, "#how-status", "^224 x 224")
        expect(play).to_have_text("Play")  # at the end
        expect(page.get_by_role("button", name="Next step")).to_be_disabled()
        assert page.locator("#how").evaluate("view => view.scrollWidth <= view.clientWidth")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        shape = "canvas => canvas.clientWidth / canvas.clientHeight / (canvas.width / canvas.height)"
        assert page.locator("#how-picture").evaluate(shape) == pytest.approx(1, abs=0.02)


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
            page.locator("#again").click()
            wait_for(page, "#alert", re.escape(f"No server answers at {nobody}. Start one with: make run"))


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
            upload(page, ASTRONAUT)
            wait_for(page, "#status", "Found .*512 x 512")
            start_camera(page)
            wait_for(page, "#live-status", r"[1-9]\d* found")

        wait_for(page, "#live-status", "No server answers .* resumes once it responds")
        wait_for(page, "#server-state", "Server down")
        open_tab(page, "Image")
        set_slider(page, "#threshold", 0.85)  # needs no server: the browser has the result
        wait_for(page, "#status", "Found 1 x person")
        page.locator("#again").click()
        wait_for(page, "#alert", "No server answers")
        wait_for(page, "#status", "Found 1 x person")
        expect(page.locator("#photos button:enabled")).to_have_count(1)

        server = stack.enter_context(TorchServe(tmp_path, ports))
        server.wait_ready()
        open_tab(page, "Live")
        wait_for(page, "#live-status", r"[1-9]\d* found")
        wait_for(page, "#server-state", "Server ready")
        open_tab(page, "Image")
        page.locator("#again").click()
        expect(page.locator("#alert")).to_be_empty()
        expect(page.locator("#progress")).to_be_hidden(timeout=PATIENCE_MS)
        wait_for(page, "#status", "Found 1 x person")
