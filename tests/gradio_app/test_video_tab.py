"""The video tab without a browser: where it is, what it refuses, and what it leaves behind."""

from __future__ import annotations

import base64
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from gradio.utils import get_upload_folder

from gradio_app import app
from gradio_app.callers import Caller
from gradio_app.routes import CALLER
from gradio_app.servers import Server, Servers
from gradio_app.video_tab import VIDEOS, VideoTab, progress, said
from tests.ports import free_ports
from tests.video.clips import squares, write_clip


def tabs(page: gr.Blocks) -> list[str]:
    return [str(block.label) for block in page.blocks.values() if isinstance(block, gr.Tab)]


@pytest.fixture
def servers() -> Servers:
    """A server that is not there."""
    return Servers([Server("Here", f"http://127.0.0.1:{free_ports(1)[0]}")])


def test_the_tab_is_there_only_with_the_extra(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tabs(app.build(servers)) == ["Image", "Live", "How PointRend works", "Video"]
    for module in ("av", "norfair"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, module, None)
            assert tabs(app.build(servers)) == ["Image", "Live", "How PointRend works"]


def test_what_fails_is_told_and_leaves_nothing(servers: Servers, tmp_path: Path) -> None:
    page = app.build(servers)
    with page:
        tab = VideoTab(page, servers, gr.Dropdown(["Here"], value="Here"))

    def request(address: str) -> Any:
        scope = {CALLER: Caller(None, address)}
        return SimpleNamespace(request=SimpleNamespace(scope=scope), session_hash="session")

    before = set(Path(get_upload_folder()).rglob("*"))

    def told(data: bytes, address: str = "192.0.2.1") -> str:
        upload = {"path": None, "url": f"data:video/mp4;base64,{base64.b64encode(data).decode()}"}
        *_, last = tab.follow(upload, 0.5, "Here", request(address))
        return str(last[tab._status])

    assert "is no video that can be read" in told(b"#EXTM3U\n#EXTINF:10,\n/etc/passwd\n")
    assert "at most 2,088,960 pixels are read" in told(
        write_clip(tmp_path / "wide.mp4", squares(1, {}, size=(2000, 1100))).read_bytes()
    )
    assert "⚠️" in told(write_clip(tmp_path / "in.mp4", squares(3, {})).read_bytes())  # the server
    assert VIDEOS.burst == 3
    assert "Too many videos came from you; try again in" in told(b"")
    long = write_clip(tmp_path / "over.mp4", squares(3, {}), [0, 90_000, 21 * 90_000]).read_bytes()
    assert re.search(r"The video has 2\d\.\d s; at most 20 s are taken here\.", told(long, "198.51.100.1"))
    assert list(tab.follow(None, 0.5, "Here", request("192.0.2.1"))) == [
        {tab._status: said("Choose a video, then press Start.")}
    ]
    assert set(Path(get_upload_folder()).rglob("*")) == before


def test_how_far_it_is() -> None:
    assert progress(3, None) == '<p role="status">3 frames</p>'
    assert '<progress max="12" value="3"' in progress(3, 12)
    assert '<progress max="13" value="13"' in progress(13, 12)  # the file told too few
    assert said("<b>") == '<p role="status">&lt;b&gt;</p>'
