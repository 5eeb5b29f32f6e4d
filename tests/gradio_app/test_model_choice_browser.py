"""A visitor of the page has another model served."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from pointrend.client import Client
from pointrend.serving.page_process import Page
from pointrend.system.channel import Channel
from tests.kept_models import exchangeable, keep
from tests.ports import free_ports


@pytest.mark.server
@pytest.mark.browser
def test_a_visitor_chooses_another_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, browser: object) -> None:
    monkeypatch.setenv("POINTREND_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("POINTREND_OFFLINE", raising=False)
    with (
        exchangeable(tmp_path / "store") as (served, gateway),
        Channel(served.answer) as channel,
        Page(gateway.url, free_ports(1)[0], channel=channel.environment) as page_process,
    ):
        page_process.wait_ready()
        page = browser.new_page()  # type: ignore[attr-defined]
        page.goto(page_process.url)
        page.get_by_text("pointrend weights pull coco-r50-3x").wait_for()
        assert not page.locator("#model").is_visible()  # there is nothing to choose yet

        keep("coco-r50-3x", "pointrend_coco80_landscape")
        page.locator("#model input").wait_for()
        assert page.locator("#model input").input_value() == "demo"
        page.locator("#model input").click()
        page.get_by_role("option", name="coco-r50-3x").click()
        page.locator("#server-state").get_by_text(re.compile("ready · coco-r50-3x")).wait_for(timeout=120_000)
        expect(page.locator("#model input")).to_have_value("coco-r50-3x", timeout=30_000)
        assert Client(gateway.url, timeout=60).describe()["name"] == "coco-r50-3x"

        other = browser.new_page()  # type: ignore[attr-defined]
        other.goto(page_process.url)
        other.locator("#server-state").get_by_text(re.compile("coco-r50-3x")).wait_for()
        expect(other.locator("#model input")).to_have_value("coco-r50-3x", timeout=30_000)
        other.close()
        page.close()
