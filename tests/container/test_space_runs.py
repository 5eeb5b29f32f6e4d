"""The assembled Space, built from its own folder, and run as a Space is: user 1000, one port."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from gradio_client import Client as PageClient
from gradio_client import handle_file

from pointrend.client import Client
from tests.container.workshop import MODEL, PHOTO, SECRET, missing, running

reason = missing()
pytestmark = [
    pytest.mark.container,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(reason is not None, reason=str(reason)),
]


def test_the_page_is_open_and_the_api_is_closed(space: str, tmp_path: Path) -> None:
    with running(space, {}, ("--user=1000",), name="space") as container:
        container.wait_ready()
        page = PageClient(container.url, verbose=False, download_files=str(tmp_path))
        answer = page.predict(photo=handle_file(str(PHOTO)), api_name="/segment")
        assert "instances" in json.dumps(answer)
        closed = httpx.post(f"{container.url}/predictions/pointrend", content=PHOTO.read_bytes())
        assert (closed.status_code, closed.json()["error"]["code"]) == (404, "not_found")
        assert "The API is closed" in container.logs()


def test_a_secret_opens_the_api(space: str) -> None:
    with running(space, {"POINTREND_TOKEN": SECRET}, ("--user=1000",), name="space") as container:
        container.wait_ready()
        with Client(container.url, token=SECRET) as client:
            assert client.describe()["name"] == MODEL
            assert client.segment(PHOTO).width == 451
