"""What an idle page does."""

from __future__ import annotations

from pathlib import Path

from gradio_app.page import LOOK_FOR_EVENTS_SECONDS, Page
from gradio_app.upload_limits import UploadLimits
from gradio_app.uploads import Uploads


def test_an_idle_page_looks_for_events_at_leisure(tmp_path: Path) -> None:
    page = Page(Uploads(tmp_path / "uploads", UploadLimits(kept_seconds=60)), sweep_seconds=60)
    assert page._queue.sleep_when_free >= LOOK_FOR_EVENTS_SECONDS
    page.queue(max_size=7)  # makes another
    assert page._queue.sleep_when_free >= LOOK_FOR_EVENTS_SECONDS
    assert page._queue.max_size == 7
