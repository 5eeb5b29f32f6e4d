"""A semantic model on the page: its categories' regions stand where objects do."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.requests import Request

from gradio_app.api import Functions
from gradio_app.callers import Caller
from gradio_app.image_tab import ImageTab
from gradio_app.live import find_objects
from gradio_app.page import Page
from gradio_app.payload import result_payload
from gradio_app.regions import regions
from gradio_app.result import VIEWS, Result, ViewSelection
from gradio_app.routes import CALLER
from gradio_app.servers import Server, Servers
from gradio_app.uploads import Uploads
from pointrend.masks.rle import encode_crop
from pointrend.serving.archive import build
from pointrend.serving.torchserve import Ports, TorchServe
from pointrend.structures.prediction import Prediction, Segment
from pointrend.weights import zoo
from pointrend.weights.convert import convert
from tests.ports import free_ports

GOLDEN = Path(__file__).parents[1] / "golden"
CASE = GOLDEN / "semantic_cityscapes19_landscape"
PHOTO = GOLDEN / "images" / "coffee_600x400.png"
SIZE = 60, 80


def segment(category_id: int, category: str, x: int, y: int, width: int, height: int) -> Segment:
    mask = encode_crop(np.ones((height, width), dtype=np.bool_), x, y, *SIZE)
    return Segment(category_id, category, width * height, mask)


def prediction() -> Prediction:
    found = segment(7, "road", 0, 40, 80, 20), segment(23, "sky", 10, 0, 20, 10)
    return Prediction(SIZE[1], SIZE[0], (), {"name": "m", "version": "1"}, task="semantic", segments=found)


def test_a_region_is_an_object_without_a_score() -> None:
    road, sky = regions(prediction()).instances
    assert (road.category, road.bbox, road.area) == ("road", (0, 40, 80, 20), 1600)
    assert (sky.category, sky.bbox, sky.mask().sum()) == ("sky", (10, 0, 20, 10), 200)


def test_the_page_shows_and_names_regions() -> None:
    file = io.BytesIO()
    Image.new("RGB", (SIZE[1], SIZE[0]), (128, 128, 128)).save(file, "PNG")
    result = Result.of("street.png", file.getvalue(), prediction())
    choice = ViewSelection(threshold=0.95)
    assert result.labels == ("road", "sky")
    assert result.visible(choice) == [0, 1]
    payload = result_payload(result, "id", [], with_photo=False)
    assert payload["isMap"]
    assert [each["category"] for each in payload["objects"]] == ["road", "sky"]
    assert payload["objects"][0]["share"] == pytest.approx(1 / 3)
    for name in VIEWS[:3]:
        assert (result.full_picture(ViewSelection(name)) != result.screen).any(axis=2)[38:].any()


@pytest.mark.server
def test_a_served_semantic_model_is_asked_for_what_it_can(tmp_path: Path) -> None:
    import gradio as gr

    name = "cityscapes-semantic-r101-1x"
    folder = convert(CASE / "model_final.pkl", CASE / "config.yaml", tmp_path / name, zoo.find(name).info)
    build(folder, tmp_path / "store")
    with TorchServe(tmp_path / "store", Ports(*free_ports(6))) as server:
        server.wait_ready()
        servers = Servers([Server("Streets", server.url)])
        uploads = Uploads(tmp_path / "uploads")
        uploads.publish([str(PHOTO)])
        functions = Functions(servers, uploads)
        answer = functions.segment(str(PHOTO))
        assert answer["task"] == "semantic"
        names = [each["category"] for each in answer["segments"]]
        frame = io.BytesIO()
        with Image.open(PHOTO) as opened:
            opened.convert("RGB").resize((320, 213)).save(frame, "JPEG")
        live = find_objects(servers[None].live_client, frame.getvalue(), 0.5, task=servers[None].task)
        assert live["objects"]
        assert {each["score"] for each in live["objects"]} == {None}
        with Page(uploads, sweep_seconds=60) as page:
            tab = ImageTab(page, servers, gr.Dropdown(servers.labels))
        request = gr.Request(Request({"type": "http", "headers": [], CALLER: Caller(None, "127.0.0.1")}))
        photo, shown = tab.find(None, gr.EventData(None, {"ticket": "1", "file": {"path": str(PHOTO)}}), request)
        assert photo["size"] == [600, 400]
        assert [each["category"] for each in shown["objects"]] == names
